//! `az:` URLs.

use graphstream_storage::{Access, OpenError, OpenFuture, StoreUrl};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::{bucket, endpoint, failed, not_built, once, opened, parse_endpoint};
use crate::ObjectStoreOptions;
use crate::client::StoreClient;
use crate::error::Error;

const EXPECTED: &str = "a container and perhaps a prefix: az://container/prefix";

/// The opener of `az://container/prefix` for a [`StoreRegistry`](graphstream_storage::StoreRegistry): blobs of Azure. `azure:`,
/// `abfs:` and `abfss:` may be registered for it too.
///
/// Parameters: `account`, the storage account (or `AZURE_STORAGE_ACCOUNT_NAME`); `endpoint=http[s]://host[:port][/path]` of the account
/// where it is not Azure's own; `anonymous=true` for requests without credentials. Those come from the environment
/// (`AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_KEY`, `AZURE_CLIENT_ID` with `AZURE_TENANT_ID` and `AZURE_CLIENT_SECRET` or
/// `AZURE_FEDERATED_TOKEN_FILE`) or from the machine's managed identity. The store is not asked. The future needs a tokio runtime.
///
/// # Errors
/// Any but [`OpenError::Store`]; the future that one, without an account and when the credentials can't be read.
pub fn open_azure_url(url: &StoreUrl, _access: Access) -> Result<OpenFuture, OpenError> {
    let (container, prefix) = bucket(url, EXPECTED)?;
    let mut parameters = url.parameters()?;
    let account = parameters.take("account");
    if account.as_deref().is_some_and(|account| !is_account(account)) {
        let scheme = url.scheme().to_owned();
        return Err(OpenError::InvalidParameter { scheme, name: "account", expected: ACCOUNT });
    }
    let endpoint = endpoint(url, &mut parameters)?;
    let anonymous = parameters.take_parsed("anonymous", "true or false")?.unwrap_or(false);
    parameters.end()?;
    let store = url.to_string();
    Ok(Box::pin(async move {
        let builder = MicrosoftAzureBuilder::from_env();
        let account = account.or_else(|| builder.get_config_value(&AzureConfigKey::AccountName));
        let account = account.filter(|account| is_account(account));
        let account = account.ok_or(Error::NoAccount).map_err(failed(&store))?;
        let named = builder.get_config_value(&AzureConfigKey::Endpoint);
        let endpoint = match (endpoint, named) {
            (Some(endpoint), _) => Ok(endpoint),
            (None, Some(named)) => parse_endpoint(&named),
            (None, None) => parse_endpoint(&format!("https://{account}.blob.core.windows.net")),
        };
        let endpoint = endpoint.map_err(failed(&store))?;
        let client = StoreClient::new(&endpoint, None).map_err(failed(&store))?;
        let builder = if anonymous { builder.with_skip_signature(true) } else { builder };
        let built = builder
            // The endpoint says all there is to say.
            .with_use_emulator(false)
            .with_use_fabric_endpoint(false)
            .with_endpoint(endpoint.to_string())
            .with_account(&account)
            .with_container_name(&container)
            .with_retry(once())
            .with_http_connector(client)
            .build()
            .map_err(not_built(&store))?;
        let name = format!("az://{container} of {account}");
        // Accounts with a hierarchical namespace order by directories, not by bytes.
        opened(built, ObjectStoreOptions::default().with_etags_are_quoted(true), &name, prefix)
    }))
}

const ACCOUNT: &str = "the name of a storage account: 3 to 24 lower case letters and digits";

fn is_account(text: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=24).contains(&text.len()) && text.chars().all(known)
}
