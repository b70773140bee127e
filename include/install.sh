#!/bin/sh
# Builds the C library and installs header, shared library, static library and pkg-config file.
#
#   include/install.sh [--prefix DIR] [--libdir DIR] [--destdir DIR] [--profile NAME]
#
# --prefix   where it will live; /usr/local if not given
# --libdir   where the libraries will live; PREFIX/lib if not given
# --destdir  put in front of every path while installing, for packagers; $DESTDIR if not given
# --profile  the cargo profile; "dist" if not given (optimised across crates)
#
# A value may also be given as --prefix=DIR. A relative directory is one below where you are.
# Uses $CARGO, $RUSTC, $CC and $STRIP if they are set.
set -eu

fail() { echo "install.sh: $1" >&2; exit 2; }
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; }
from_here() { case $1 in /*) printf %s "$1" ;; *) printf %s "$here/$1" ;; esac; }

here=$(pwd)
prefix=/usr/local libdir='' destdir=${DESTDIR:-} profile=dist
while [ $# -gt 0 ]; do
    option=${1%%=*}
    case $option in
    --prefix | --libdir | --destdir | --profile) ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "there is no option $1" ;;
    esac
    case $1 in
    *=*) value=${1#*=} ;;
    *)
        [ $# -ge 2 ] || fail "$option needs a value"
        shift
        value=$1
        ;;
    esac
    shift
    case $option,$value in
    --destdir,*) ;;
    *,'' | *,--*) fail "$option needs a value" ;;
    esac
    case $option in
    --prefix) prefix=$(from_here "$value") ;;
    --libdir) libdir=$(from_here "$value") ;;
    --destdir) destdir=$value ;;
    --profile) profile=$value ;;
    esac
done
[ -z "$destdir" ] || destdir=$(from_here "$destdir")
: "${libdir:=$prefix/lib}" "${CARGO:=cargo}" "${RUSTC:=rustc}" "${CC:=cc}" "${STRIP:=strip}"
cd "$(dirname "$0")/.."

abi=0
"$CARGO" rustc --locked --lib --features c-abi --profile "$profile" --crate-type staticlib
target=$("$CARGO" metadata --locked --offline --no-deps --format-version 1 |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
case $profile in
dev | test) built=$target/debug ;;
*) built=$target/$profile ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

# What a program that links the static library must link besides: what the Rust standard library needs. The compiler
# adds its own unwinder, -lgcc_s or, where all is static, -lgcc_eh.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/empty.rs"
private=$("$RUSTC" --crate-type staticlib --crate-name empty --print native-static-libs \
    -o "$work/libempty.a" "$work/empty.rs" 2>&1 | sed -n 's/^note: native-static-libs: //p' | sed 's/-lgcc_s *//')

# What is installed is made anew only when its source is newer; put into place at once, as others may install, too.
newer() { [ "$1" -nt "$built/libinterproc.a" ] && [ "$1" -nt include/interproc.map ] && [ "$1" -nt include/install.sh ]; }
# The shared library is linked from the static one, as rustc gives symbols no versions.
# nodelete: threads' robust lists point into the library, so dlclose must not unmap it.
# shellcheck disable=SC2086 # several words
newer "$built/libinterproc.so" || {
    "$CC" -shared -o "$built/libinterproc.so.$$" \
        -Wl,--whole-archive "$built/libinterproc.a" -Wl,--no-whole-archive -Wl,--gc-sections \
        -Wl,-soname,"libinterproc.so.$abi" -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,--no-undefined \
        -Wl,--version-script=include/interproc.map -Wl,--strip-all $private
    mv "$built/libinterproc.so.$$" "$built/libinterproc.so"
}
newer "$built/libinterproc-stripped.a" || {
    "$STRIP" --strip-debug -o "$built/libinterproc-stripped.a.$$" "$built/libinterproc.a"
    mv "$built/libinterproc-stripped.a.$$" "$built/libinterproc-stripped.a"
}

include_to=$destdir$prefix/include lib_to=$destdir$libdir
install -d "$include_to" "$lib_to/pkgconfig"
install -m 644 include/interproc.h "$include_to/"
install -m 644 "$built/libinterproc-stripped.a" "$lib_to/libinterproc.a"
install -m 755 "$built/libinterproc.so" "$lib_to/libinterproc.so.$version"
ln -sf "libinterproc.so.$version" "$lib_to/libinterproc.so.$abi"
ln -sf "libinterproc.so.$abi" "$lib_to/libinterproc.so"
cat > "$lib_to/pkgconfig/interproc.pc" <<END
prefix=$prefix
libdir=$libdir
includedir=\${prefix}/include

Name: interproc
Description: Locks, queues and processes in shared memory that survive kill -9 of any participant
Version: $version
Cflags: -I"\${includedir}"
Libs: -L"\${libdir}" -linterproc
Libs.private: $private
END
chmod 644 "$lib_to/pkgconfig/interproc.pc"
echo "installed interproc $version: $include_to/interproc.h, $lib_to/libinterproc.{so,a}, $lib_to/pkgconfig/interproc.pc"
