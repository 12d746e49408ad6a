/**
 * Which of two versions is the later one, part by part between the dots: the number a part begins with, then the rest
 * of it as text. What has more parts is later. A total order, whatever the text.
 */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const order = compareParts(left[index]!, right[index]!);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareParts(a: string, b: string): number {
  const [aDigits, bDigits] = [leadingDigits(a), leadingDigits(b)];
  const [aNumber, bNumber] = [aDigits.replace(/^0+(?=\d)/, ''), bDigits.replace(/^0+(?=\d)/, '')];
  // Of any length, so compared as text: without leading zeros the longer number is the larger one.
  if (aNumber.length !== bNumber.length) return aNumber.length - bNumber.length;
  return compareText(aNumber, bNumber) || compareText(a.slice(aDigits.length), b.slice(bDigits.length));
}

function leadingDigits(part: string): string {
  return /^\d*/.exec(part)![0];
}

/** Which of two time stamps is the later one; either may be a beginning, such as a day. */
export function compareStamps(a: string, b: string): number {
  // Without the Z, so that whole seconds come before their fractions.
  return compareText(a.replace(/Z$/, ''), b.replace(/Z$/, ''));
}

/** By UTF-16 code units, as the reference compares. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
