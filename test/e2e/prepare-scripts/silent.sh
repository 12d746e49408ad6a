#!/bin/sh
# Never says anything.
while :; do sleep 60; done
