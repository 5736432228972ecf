#!/bin/sh
# build.sh BUNDLE TARGET OUT: libbnnt.so and libbnnt_jni.so, for app/src/main/jniLibs/arm64-v8a/.
# Needs jni.h (Debian: android-libnativehelper-dev), and the compiler that bnnt brings.
set -eu
bundle=$1/targets/$2 out=$3
here=$(dirname "$0")
mkdir -p "$out"
cp "$bundle/libbnnt.so" "$out"
${CC:-python3 -m ziglang cc -target aarch64-linux-android} -std=c11 -O2 -Wall -Wextra -shared -s -fPIC -nostdlib \
  -fvisibility=hidden -I"$bundle" -isystem "${JNI:-/usr/include/android/nativehelper}" "$here/bnnt_jni.c" \
  -L"$out" -lbnnt -Wl,-soname,libbnnt_jni.so -o "$out/libbnnt_jni.so"
