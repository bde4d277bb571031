# shellcheck shell=bash

# use_temporary_go_caches FOLDER: Go writes nowhere else from here on; the caller removes the folder.
# The user's settings (a module proxy, say) still hold.
use_temporary_go_caches() {
    mkdir -p -- "$1/config" "$1/tmp" "$1/go"
    GOENV=$(go env GOENV)
    export GOENV GOPATH=$1/go GOMODCACHE=$1/modules GOCACHE=$1/objects GOTMPDIR=$1/tmp
    # Go counts its own use below the configuration folder.
    export XDG_CONFIG_HOME=$1/config
    export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS="-modcacherw -buildvcs=false"
}
