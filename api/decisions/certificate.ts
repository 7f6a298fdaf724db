/** What a certificate says about itself. */
export type CertificateFacts = {
  subject: string;
  issuer: string;
  notBefore: Date;
  notAfter: Date;
  names: readonly string[];
};

/**
 * Whether an authority should be asked for a certificate now: there is none of an authority for this name, or less than
 * a third of its life is left, as the authorities themselves recommend.
 */
export function isDue(
  { subject, issuer, notBefore, notAfter, names }: CertificateFacts,
  name: string,
  now: Date,
): boolean {
  if (subject === issuer || !names.includes(name)) return true;
  const life = notAfter.getTime() - notBefore.getTime();
  return notAfter.getTime() - now.getTime() < life / 3;
}

const firstPauseMs = 60_000;
const longestPauseMs = 6 * 3_600_000;

/** How long to leave an authority alone after so many failures in a row; authorities limit who asks more often. */
export function pauseAfter(failures: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** Math.max(0, failures - 1));
}
