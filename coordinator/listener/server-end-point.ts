/** Channel binding `tls-server-end-point` (RFC 5929): the hash of our certificate, by its own signature's hash. */
import { createHash, X509Certificate } from 'node:crypto'

/** Signature algorithm (DER of its OID, hex) to hash; MD5 and SHA-1 count as SHA-256 (RFC 5929, section 4.1). */
const HASHES: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSA
  '2a864886f70d010105': 'sha256', // sha1WithRSA
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

/**
 * Undefined when the signature has no hash of its own (Ed25519) or names it elsewhere (RSA-PSS): such a connection
 * is not offered channel binding.
 */
export function serverEndPoint(certPem: string | Buffer): Buffer | undefined {
  const der = new X509Certificate(certPem).raw
  const hash = HASHES[signatureAlgorithm(der)]
  return hash === undefined ? undefined : createHash(hash).update(der).digest()
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, ... }, signature } */
function signatureAlgorithm(der: Buffer): string {
  const tbs = element(der, element(der, 0).start)
  const oid = element(der, element(der, tbs.end).start)
  return der.toString('hex', oid.start, oid.end)
}

/** Bounds of the contents of the DER element at `at`. */
function element(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1]!
  if (first < 0x80) return { start: at + 2, end: at + 2 + first }
  const lengthBytes = first & 0x7f
  const start = at + 2 + lengthBytes
  return { start, end: start + der.readUIntBE(at + 2, lengthBytes) }
}
