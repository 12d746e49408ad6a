#!/bin/sh
mdata-put prepare-image:state running
while :; do sleep 60; done
