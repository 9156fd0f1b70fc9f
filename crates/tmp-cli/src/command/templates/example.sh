#!/bin/sh
echo "replace this program by your own"
