/**
 * What a decoder makes at once on another thread, in bytes. Each hand-over to the thread that writes takes as long as decoding some
 * kilobytes does: of 256 KiB, 512 KiB, 1 MiB and 2 MiB a disk of 1 GiB took 1.68, 1.52, 1.43 and 1.28 s in gzip, and 1.58, 1.28,
 * 1.16 and 1.13 s in zstd.
 */
export const stepBytes = 2 * 1024 * 1024;
