#!/bin/sh
mdata-put prepare-image:state running
mdata-put prepare-image:error "line one
line two"
mdata-put prepare-image:state error
