//! The operations of S3 that graphstream uses, on a [`Table`].

use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use s3s::dto::*;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::conditions::check_read;
use super::listing::{Query, list, url_encoded};
use super::object::{Attributes, Stored, Sums, etag};
use super::table::{If, Part, Table, Upload};

#[derive(Debug)]
pub(super) struct Service {
    table: Arc<Table>,
}

impl Service {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }

    /// Finds an object and evaluates a read's conditions.
    fn read(&self, read: &Read<'_>) -> S3Result<Stored> {
        self.table.bucket(read.bucket, |bucket| {
            let object = bucket
                .objects
                .get(read.key)
                .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
            object.attributes.check_customer_key(read.customer_key_md5)?;
            check_read(&object.etag, read.matches, read.none_matches)?;
            Ok(object.clone())
        })
    }
}

/// What get and head have in common.
struct Read<'a> {
    bucket: &'a str,
    key: &'a str,
    customer_key_md5: Option<&'a str>,
    matches: Option<&'a ETagCondition>,
    none_matches: Option<&'a ETagCondition>,
}

/// The whole body in memory: nothing is decided before all of it is there.
async fn collected(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut whole = BytesMut::new();
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    while let Some(chunk) = body.next().await {
        let cut = |error| S3Error::with_source(S3ErrorCode::IncompleteBody, error);
        whole.extend_from_slice(&chunk.map_err(cut)?);
    }
    Ok(whole.freeze())
}

fn encryption(attributes: &Attributes) -> Option<ServerSideEncryption> {
    attributes.get("x-amz-server-side-encryption").map(|text| ServerSideEncryption::from(text.to_owned()))
}

fn text(attributes: &Attributes, header: &str) -> Option<String> {
    attributes.get(header).map(ToOwned::to_owned)
}

/// How keys and prefixes are written.
fn shown(encoding: Option<&EncodingType>) -> impl Fn(&str) -> String + use<> {
    let url = encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    move |text| if url { url_encoded(text) } else { text.to_owned() }
}

const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CUSTOMER_ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const CUSTOMER_KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.table.create(&request.input.bucket)?;
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.table.bucket(&request.input.bucket, |_| Ok(()))?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &request.input;
        let condition = If { matches: input.if_match.as_ref(), none_matches: input.if_none_match.as_ref() };
        self.table.hasty(&input.bucket, &input.key, condition)?;
        let body = collected(request.input.body.take()).await?;
        if request.input.content_length.is_some_and(|length| usize::try_from(length) != Ok(body.len())) {
            return Err(s3_error!(IncompleteBody));
        }
        let checksum = Sums::verified(&request, &body)?;
        let attributes = Attributes::of(&request);
        let sums = checksum.fields();
        let object = Stored {
            etag: etag(&body),
            body,
            modified: SystemTime::now(),
            checksum,
            attributes: attributes.clone(),
        };
        let stored_etag = object.etag.clone();
        let input = &request.input;
        let condition = If { matches: input.if_match.as_ref(), none_matches: input.if_none_match.as_ref() };
        self.table.put(&input.bucket, &input.key, object, condition).await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(stored_etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            server_side_encryption: encryption(&attributes),
            ssekms_key_id: text(&attributes, KMS_KEY),
            sse_customer_algorithm: text(&attributes, CUSTOMER_ALGORITHM),
            sse_customer_key_md5: text(&attributes, CUSTOMER_KEY_MD5),
            ..Default::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.read(&Read {
            bucket: &input.bucket,
            key: &input.key,
            customer_key_md5: input.sse_customer_key_md5.as_deref(),
            matches: input.if_match.as_ref(),
            none_matches: input.if_none_match.as_ref(),
        })?;
        let size = object.body.len() as u64;
        let (range, content_range) = match input.range {
            None => (0..size, None),
            Some(range) => {
                let range = range.check(size).map_err(|error| {
                    s3_error!(error, InvalidRange, "The requested range is not satisfiable")
                })?;
                let shown = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
                (range, Some(shown))
            }
        };
        let wanted = input.checksum_mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        let sums =
            if wanted && content_range.is_none() { object.checksum.fields() } else { Checksum::default() };
        let bound = |at: u64| usize::try_from(at).unwrap_or(object.body.len());
        let part = object.body.slice(bound(range.start)..bound(range.end));
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(part.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(part))),
            content_range,
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(Timestamp::from(object.modified)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            server_side_encryption: encryption(&object.attributes),
            ssekms_key_id: text(&object.attributes, KMS_KEY),
            sse_customer_algorithm: text(&object.attributes, CUSTOMER_ALGORITHM),
            sse_customer_key_md5: text(&object.attributes, CUSTOMER_KEY_MD5),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.read(&Read {
            bucket: &input.bucket,
            key: &input.key,
            customer_key_md5: input.sse_customer_key_md5.as_deref(),
            matches: input.if_match.as_ref(),
            none_matches: input.if_none_match.as_ref(),
        })?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(object.body.len()).ok(),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(Timestamp::from(object.modified)),
            server_side_encryption: encryption(&object.attributes),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.table.bucket(&input.bucket, |bucket| self.table.delete(bucket, &input.key))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        if !Sums::are_claimed(&request) {
            return Err(s3_error!(InvalidRequest, "Missing required header for this request: Content-MD5"));
        }
        let input = request.input;
        if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "1 to 1000 keys can be deleted at once"));
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        self.table.bucket(&input.bucket, |bucket| {
            for object in input.delete.objects {
                match self.table.delete(bucket, &object.key) {
                    Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                    Err(error) => errors.push(Error {
                        code: Some(error.code().as_str().to_owned()),
                        key: Some(object.key),
                        message: error.message().map(ToOwned::to_owned),
                        version_id: None,
                    }),
                }
            }
            Ok(())
        })?;
        let deleted = (!quiet).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            start_after: input.start_after.clone().unwrap_or_default(),
            token: input.continuation_token.clone(),
            limit: input.max_keys.map_or(1000, |keys| usize::try_from(keys).unwrap_or(0)).min(1000),
        };
        let shown = shown(input.encoding_type.as_ref());
        let page = self.table.bucket(&input.bucket, |bucket| {
            let page = list(&bucket.objects, &query)
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?;
            let contents: Vec<Object> = page
                .objects
                .iter()
                .map(|(key, object)| Object {
                    key: Some(shown(key)),
                    e_tag: Some(ETag::Strong(object.etag.clone())),
                    last_modified: Some(Timestamp::from(object.modified)),
                    size: i64::try_from(object.body.len()).ok(),
                    ..Default::default()
                })
                .collect();
            let prefixes: Vec<CommonPrefix> =
                page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(shown(prefix)) }).collect();
            Ok((contents, prefixes, page.next))
        })?;
        let (contents, prefixes, next) = page;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix.as_deref().map(&shown),
            delimiter: input.delimiter.as_deref().map(&shown),
            start_after: input.start_after.as_deref().map(&shown),
            max_keys: i32::try_from(query.limit).ok(),
            key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let attributes = Attributes::of(&request);
        let input = request.input;
        let full =
            input.checksum_type.as_ref().is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT);
        let id = self.table.begin(&input.bucket, Upload::new(input.key.clone(), attributes.clone(), full))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            server_side_encryption: encryption(&attributes),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let body = collected(request.input.body.take()).await?;
        let checksum = Sums::verified(&request, &body)?;
        let sums = checksum.fields();
        let input = request.input;
        self.table.bucket(&input.bucket, |bucket| {
            let upload = bucket.upload(&input.key, &input.upload_id)?;
            upload.attributes.check_customer_key(input.sse_customer_key_md5.as_deref())
        })?;
        let part = Part { etag: etag(&body), body, checksum };
        let part_etag = part.etag.clone();
        self.table.put_part(&input.bucket, &input.key, &input.upload_id, input.part_number, part)?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(part_etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let condition = If { matches: input.if_match.as_ref(), none_matches: input.if_none_match.as_ref() };
        let claimed = Checksum {
            checksum_crc32c: input.checksum_crc32c.clone(),
            checksum_crc64nvme: input.checksum_crc64nvme.clone(),
            ..Default::default()
        };
        let id = &input.upload_id;
        let object = self.table.complete(&input.bucket, &input.key, id, &listed, &claimed, condition).await?;
        let sums = object.checksum.fields();
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(object.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            server_side_encryption: encryption(&object.attributes),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.table.bucket(&input.bucket, |bucket| {
            bucket.upload(&input.key, &input.upload_id)?;
            bucket.uploads.remove(&input.upload_id);
            Ok(())
        })?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let limit =
            input.max_uploads.map_or(1000, |uploads| usize::try_from(uploads).unwrap_or(0)).clamp(1, 1000);
        let after = (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref());
        let mut found = self.table.uploads(&input.bucket, &prefix, after)?;
        let truncated = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| truncated).cloned();
        let shown = shown(input.encoding_type.as_ref());
        let uploads = found.into_iter().map(|(key, id, initiated)| MultipartUpload {
            key: Some(shown(&key)),
            upload_id: Some(id),
            initiated: Some(Timestamp::from(initiated)),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix.as_deref().map(&shown),
            uploads: Some(uploads.collect()),
            is_truncated: Some(truncated),
            next_key_marker: last.as_ref().map(|(key, ..)| shown(key)),
            next_upload_id_marker: last.map(|(_, id, _)| id),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}
