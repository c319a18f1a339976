#!/bin/sh
# Runs a program that looks for its files where Debian would have installed them, in a mount namespace of its own:
# what lies unpacked in SHARE is seen as part of /usr/share, by this program alone.
# usage: unshare --mount share-init.sh SHARE COMMAND...
set -eu
share=$1
shift
mount -t overlay overlay -o "lowerdir=$share:/usr/share" /usr/share
exec "$@"
