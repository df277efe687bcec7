#!/usr/bin/env bash
# Would the faults notice? Takes one guard of the protocol away at a time (mutants/*.patch), in a
# copy of the source that is gone afterwards, and runs the faults that must find it out, with the
# real processes. Fails where one of them stays green.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/session-mutants-XXXXXX")
trap 'rm -rf "$copy"' EXIT

# What is found guilty by what.
faults_for() {
    case $1 in
    acknowledgements-not-awaited) echo nats_cut_from_validators messages_reordered ;;
    leases-without-end) echo nats_cut_from_validators nats_down ;;
    *)
        echo "nobody says which faults find $1 out" >&2
        return 1
        ;;
    esac
}

mkdir "$copy/source"
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
    tar --null --files-from=- --create) | tar --extract --directory "$copy/source"
cd "$copy/source"
export CARGO_TARGET_DIR=$copy/target

survived=0
for patch in "$root"/e2e/faults/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    patch --quiet --strip=1 <"$patch"
    cargo build --quiet --jobs "${JOBS:-2}" -p session-faults \
        -p session-api -p session-validator -p session-reaper
    for fault in $(faults_for "$name"); do
        echo "--- $name: $fault"
        status=0
        "$CARGO_TARGET_DIR/debug/session-faults" --trials "${TRIALS:-50}" "$fault" || status=$?
        if [[ $status -ne 1 ]]; then
            echo "$name was NOT found out by $fault (exit code $status)" >&2
            survived=1
        fi
    done
    patch --quiet --strip=1 --reverse <"$patch"
done
if [[ $survived -eq 0 ]]; then
    echo "every mutant was found out by every fault that must"
fi
exit "$survived"
