#!/bin/sh
# Tells what it can reach, as its error.
mdata-put prepare-image:state running
mdata-put prepare-image:error "users: $(awk '$2 != 0' /proc/self/uid_map | wc -l)
links: $(ls /sys/class/net | tr '\n' ' ')
mount: $(mount -t tmpfs none /tmp 2>/dev/null && echo yes || echo no)
processes: $(ls /proc | grep -c '^[0-9]')"
mdata-put prepare-image:state error
