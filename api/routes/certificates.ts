import { X509Certificate } from 'node:crypto';
import { Elysia } from 'elysia';
import { CertificateRequest, IssuedCertificate } from '#contract/certificate.ts';
import { certificateNames } from '#policies/desired/certificate-names.ts';
import { Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { audit } from '../store/audit.ts';
import { outlineInForce } from '../store/policies.ts';
import { readSettings } from '../store/settings.ts';
import { agentArea, readCallersJson } from './areas.ts';
import { operation } from './documentation.ts';

/** Nodes answer for services with a front: each has a key of its own, for which the authority vouches. */
export function certificateRoute(master: Master) {
  const { store, authority, now } = master;
  return new Elysia().use(agentArea(master)).post(
    '/v1/agent/certificate',
    async ({ body, node }) => {
      const { domain, authority: issuer } = readSettings(store);
      if (issuer === null) throw new Refusal('not-ready', 'The authority is being made; ask again in a moment.');
      const fronts = outlineInForce(store).services.flatMap(({ front, dnsName }) =>
        front === null || dnsName === null ? [] : [dnsName],
      );
      const names = certificateNames(node.name, fronts, domain);
      const certificate = await authority.certify(body.csr, { authority: issuer, node: node.name, names }, now());
      if (certificate === undefined)
        throw new Refusal('key-refused', 'Sign the request with its own key, of the curve P-256 or P-384.');
      const { serialNumber, validToDate } = new X509Certificate(certificate);
      const notAfter = validToDate.toISOString();
      store.write(() =>
        audit(store, now(), {
          actor: `node ${node.name}`,
          act: 'certificate.issue',
          subject: node.name,
          detail: { names, serialNumber, notAfter },
        }),
      );
      return { certificate, authority: issuer, names, notAfter };
    },
    {
      parse: readCallersJson(master),
      body: CertificateRequest,
      response: { 200: IssuedCertificate },
      detail: operation('issueCertificate', 'A certificate for the names that the node answers for', {
        tag: 'Agents',
        bearer: 'agentToken',
        problems: ['key-refused', 'not-ready'],
      }),
    },
  );
}
