/** What a server may make us hold in memory. */
export interface ImgapiLimits {
  /** All pages of one listing together. */
  listingBytes: number;
  /** One manifest, an error, the answer to a ping. */
  documentBytes: number;
  iconBytes: number;
  /** Images in one listing. */
  images: number;
}

export const defaultLimits: ImgapiLimits = {
  listingBytes: 64 * 1024 * 1024,
  documentBytes: 1024 * 1024,
  iconBytes: 128 * 1024,
  images: 100_000,
};
