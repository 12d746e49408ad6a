#!/bin/sh
mdata-put prepare-image:state running
rm /old
kill -9 $$
