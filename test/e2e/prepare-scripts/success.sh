#!/bin/sh
# Says that it runs, changes something, says that it is done.
mdata-put prepare-image:state running
mdata-get sdc:hostname >/prepared
mdata-get note >>/prepared
printf 'first\nsecond\n' | mdata-put lines
mdata-get lines >>/prepared
mdata-delete lines
mdata-get lines 2>>/prepared
echo "get: $?" >>/prepared
mdata-put sdc:uuid x 2>>/prepared
echo "put: $?" >>/prepared
mdata-list >>/prepared
rm /old
mdata-put prepare-image:state success
