#!/bin/sh
# A child for exec: targets. It keeps applied entries in FILE and its position in FILE.position, written last.
#   child.sh FILE [MODE]
# MODE: refuse N        answers that entry N can't be applied
#       die-once N      ends before it applies the batch with entry N, the first time
file=$1 mode=$2 at=$3
touch "$file"
if [ -s "$file.position" ]; then
    read -r position < "$file.position"
else
    position=null
fi
echo "{\"position\":$position}"
batch=
while IFS= read -r line; do
    case $line in
        '{"commit":'*) ;;
        *)
            batch="$batch$line
"
            continue
            ;;
    esac
    commit=${line#'{"commit":'}
    commit=${commit%'}'}
    sequence=${commit#*'"sequence":'}
    sequence=${sequence%%[,\}]*}
    case $batch in *"\"sequence\":$at,"*)
        if [ "$mode" = refuse ]; then
            echo "{\"error\":{\"sequence\":$at,\"message\":\"no table Person\"}}"
            batch=
            continue
        fi
        if [ "$mode" = die-once ] && [ ! -e "$file.died" ]; then
            touch "$file.died"
            echo "out of memory" >&2
            exit 9
        fi
        ;;
    esac
    printf %s "$batch" >> "$file"
    echo "$commit" > "$file.position"
    batch=
    echo "{\"applied\":$sequence}"
done
