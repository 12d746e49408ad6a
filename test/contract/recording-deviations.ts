/** Exchanges in which ours and the recorded one differ, each by its id with the rule that justifies it. */

const cacheable =
  'ours: Range, and If-None-Match on files as spec/imgapi.md §3.5 has it, for resumed downloads and caches';
const iconTag = 'spec/imgapi.md §3.5: If-None-Match holds for icons, too';
const referenceBug = 'design.md §7: bugs of the reference are not copied';
const head =
  'HEAD is answered as GET without the body (RFC 9110 §9.3.2), so that tools can look before they fetch';
const removedTags = 'spec/imgapi.md §3.7: null removes a field; the reference keeps the tags';
const noPages = 'the reference has documentation there, ours has the catalogue for browsers';

const nothingFetched =
  'nothing is fetched from other servers: that would let writers choose whom this one asks';
const otherPlaces = 'there is no data centre, registry or second server to import from';
const noState = 'there is no state to show and no cache to drop';
const lostKey = 'the public half of this key was not kept with the recording';

/** Ours answers otherwise than the recorded server. */
export const serverDeviations: Readonly<Record<string, string>> = {
  'ping-and-routes#005': `${referenceBug}: the sample says "undefined" for a UUID`,
  'ping-and-routes#020': noPages,
  'ping-and-routes#021': noPages,
  'ping-and-routes#025': head,
  'ping-and-routes#026': head,
  'conditional-requests#011': cacheable,
  'conditional-requests#014': cacheable,
  'conditional-requests#015': head,
  'conditional-requests#016': head,
  'icon#008': iconTag,
  'update-active#042': removedTags,
  'update-active#043': removedTags,
  'update-active#044': removedTags,
  'update-active#045': removedTags,
  'update-active#053': removedTags,
  'update-active#059': removedTags,
  'update-active#060': removedTags,
  'update-active#061': removedTags,
  'import#024': 'min_platform is not hidden from imgadm of 2014, which no Linux host runs',
  'list-filters#036': `${referenceBug}: the item names "state" for a wrong limit`,
  'list-filters#041': `${referenceBug}: the limit is applied before the descending sort`,
  'origin-incremental#010': 'lists the images of earlier recordings, too',
  'import-source-export-admin#001': nothingFetched,
  'import-source-export-admin#002': nothingFetched,
  'import-source-export-admin#003': nothingFetched,
  'import-source-export-admin#004': nothingFetched,
  'import-source-export-admin#005': nothingFetched,
  'import-source-export-admin#006': nothingFetched,
  'import-source-export-admin#007': nothingFetched,
  'import-source-export-admin#008': nothingFetched,
  'import-source-export-admin#018': nothingFetched,
  'import-source-export-admin#021': nothingFetched,
  'upload-errors#023': nothingFetched,
  'import-source-export-admin#010': 'an image of an earlier recording',
  'import-source-export-admin#015': otherPlaces,
  'import-source-export-admin#016': otherPlaces,
  'import-source-export-admin#017': otherPlaces,
  'import-source-export-admin#027': otherPlaces,
  'import-source-export-admin#028': otherPlaces,
  'import-source-export-admin#025': 'there are no docker images here',
  'import-source-export-admin#029': noState,
  'import-source-export-admin#030': noState,
  'import-source-export-admin#031': noState,
  'list-signed-vs-anonymous#003': 'the reference has no order among images without a date',
  'list-signed-vs-anonymous#013': `${referenceBug}: images without a date come last when there is a limit`,
  'list-signed-vs-anonymous#009': 'the reference has no order among images without a date',
  'http-signature#012': lostKey,
  'http-signature#013': lostKey,
  'http-signature#014': 'the skew was recorded to the millisecond, the time of the answer was not',
  'http-signature#015': 'the skew was recorded to the millisecond, the time of the answer was not',
  'http-signature#031': `${referenceBug}: a signature over a date that cannot be read would hold for ever`,
  'http-signature#039': noState,
};

/** The recorded server crashed or fell silent; ours gives this status. */
export const serverAnswers: Readonly<Record<string, {status: number | 'none'; reason: string}>> = {
  'acl-private-mode#026': {status: 200, reason: 'the filter is documented (spec/imgapi.md §3.2)'},
  'import-source-export-admin#009': {
    status: 501,
    reason: 'nothing is fetched from other servers, so nothing is waited for',
  },
  'create-bodies#002': {status: 200, reason: 'the body is JSON, whatever its type says'},
  'create-bodies#003': {status: 400, reason: 'InvalidContent: the body is not JSON'},
  'create-bodies#004': {status: 422, reason: 'InvalidParameter: no such action'},
  'list-filters#022': {status: 422, reason: 'InvalidParameter: not a boolean'},
  'list-filters#049': {status: 200, reason: 'the filter is documented (spec/imgapi.md §3.2)'},
  'server-crashes#005': {status: 404, reason: 'there is no icon to delete'},
  'server-crashes#007': {status: 422, reason: 'owner is missing'},
  'server-crashes#008': {status: 422, reason: 'owner is no UUID'},
  'server-crashes#009': {status: 422, reason: 'the body is no object'},
  'server-crashes#010': {status: 422, reason: 'there is no body'},
  'server-crashes#011': {status: 422, reason: 'there is no body'},
  'server-crashes#012': {status: 422, reason: 'the body is no object'},
  'server-crashes#015': {status: 422, reason: 'there is no body'},
  'server-crashes#016': {status: 404, reason: 'there are no jobs here'},
  'server-crashes#018': {status: 404, reason: 'the image has no file to keep elsewhere'},
  'server-crashes#019': {status: 422, reason: 'the image has no file whose digests could change'},
  'upload-errors#010': {
    status: 'none',
    reason: 'the body is shorter than announced: ours waits for the rest, too',
  },
};

/** Our client concludes otherwise than the recorded answer suggests. */
export const clientDeviations: Readonly<Record<string, string>> = {};
