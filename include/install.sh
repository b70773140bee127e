#!/bin/sh
# Builds the C library and installs header, shared library, static library and pkg-config file.
#
#   include/install.sh [--prefix DIR] [--libdir DIR] [--destdir DIR] [--profile NAME]
#
# --prefix   where it will live; /usr/local if not given
# --libdir   where the libraries will live; PREFIX/lib if not given
# --destdir  put in front of every path while installing, for packagers
# --profile  the cargo profile; "dist" if not given (optimised across crates)
#
# Uses $CARGO and $RUSTC if they are set.
set -eu

cd "$(dirname "$0")/.."
prefix=/usr/local libdir='' destdir='' profile=dist
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) prefix=$2 ;;
    --libdir) libdir=$2 ;;
    --destdir) destdir=$2 ;;
    --profile) profile=$2 ;;
    *)
        sed -n '2,/^set/s/^# \{0,1\}//p' include/install.sh >&2
        exit 2
        ;;
    esac
    [ $# -ge 2 ] || { echo "install.sh: $1 needs a value" >&2; exit 2; }
    shift 2
done
: "${libdir:=$prefix/lib}" "${CARGO:=cargo}" "${RUSTC:=rustc}"

abi=0
# nodelete: threads' robust lists point into the library, so dlclose must not unmap it.
"$CARGO" rustc --locked --lib --profile "$profile" --crate-type cdylib,staticlib -- \
    -C "link-arg=-Wl,-soname,libinterproc.so.$abi" -C link-arg=-Wl,-z,nodelete
target=$("$CARGO" metadata --locked --offline --no-deps --format-version 1 |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
case $profile in
dev | test) built=$target/debug ;;
*) built=$target/$profile ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

# What a program that links the static library must link besides: what the Rust standard library needs.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/empty.rs"
private=$("$RUSTC" --crate-type staticlib --crate-name empty --print native-static-libs \
    -o "$work/libempty.a" "$work/empty.rs" 2>&1 | sed -n 's/^note: native-static-libs: //p')

include_to=$destdir$prefix/include lib_to=$destdir$libdir
install -d "$include_to" "$lib_to/pkgconfig"
install -m 644 include/interproc.h "$include_to/"
install -m 644 "$built/libinterproc.a" "$lib_to/"
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
Cflags: -I\${includedir}
Libs: -L\${libdir} -linterproc
Libs.private: $private
END
chmod 644 "$lib_to/pkgconfig/interproc.pc"
echo "installed interproc $version: $include_to/interproc.h, $lib_to/libinterproc.{so,a}, $lib_to/pkgconfig/interproc.pc"
