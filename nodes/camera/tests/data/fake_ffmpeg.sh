#!/bin/sh
# Stands for ffmpeg in the tests: raw pixels on standard output, a complaint on standard error.
printf 'abcdefghijklmno'
echo 'truncated' >&2
