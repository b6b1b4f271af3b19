import { describe, expect, test } from 'vitest'
import { testTls } from '../../test/helpers/test-tls.ts'
import { serverEndPoint } from './server-end-point.ts'

const rsaSha384 = `-----BEGIN CERTIFICATE-----
MIICBjCCAW+gAwIBAgIUMin0ghs7iv7xqIwYONxTEqFAEf0wDQYJKoZIhvcNAQEM
BQAwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTExMTE0NVoYDzIxMjYx
MDI4MTExMTQ1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwgZ8wDQYJKoZIhvcNAQEB
BQADgY0AMIGJAoGBAOe93bxDJV7fPwfVg1HFZev/8+skDOtzawu8HHM34z273uUR
oGCP1oPcxRq7v2mZ77S8Tf7xLLkAM6n2Y8WX5ku4tfrXHGboO75dxbBH5uCJaBYr
ozWsp/bA/mxWeBJafwYOKsmrTDU6Ro1IdEIRN/8nb4RyXzEzPGZ9GCfv8LkfAgMB
AAGjUzBRMB0GA1UdDgQWBBQVwJWdaXXUXGBNsA52YDbeAgV0HTAfBgNVHSMEGDAW
gBQVwJWdaXXUXGBNsA52YDbeAgV0HTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3
DQEBDAUAA4GBAEMeJKOIhQoqhqZQjKOypoJ2LOlizo4du/J6koDfyGsnsWuSLm00
4oF/CwNpcXxtfbXzqeI/hPR/5EUXv/gVoUcF7R4xygy31+BoY5qZf4/sKzdZDPc2
gJD9Cqstr9PUHW8voCPRPSxZWuh7v/Rqv+y34wEBR3WoOwEGmmIPpsGN
-----END CERTIFICATE-----`
const ed25519 = `-----BEGIN CERTIFICATE-----
MIIBPjCB8aADAgECAhQ4Vqnv7oOh6LVlm9vugiCuiqnCOzAFBgMrZXAwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTExMTE0NVoYDzIxMjYxMDI4MTExMTQ1
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwKjAFBgMrZXADIQBlZIisrG4nmye9LXys
6BSpmjU6eNaNYYv/tFeHhG7G7aNTMFEwHQYDVR0OBBYEFNv1zdEU1nppzjiEzzFm
yB+9EypGMB8GA1UdIwQYMBaAFNv1zdEU1nppzjiEzzFmyB+9EypGMA8GA1UdEwEB
/wQFMAMBAf8wBQYDK2VwA0EA4g8AmFZKIaIr4tEMMZeN38NRoMLK2JiwAsJ8Zwly
8C6e/kIHn3hBUmwfNwWOteqgX5bSGyCLyqACRTDlFa7uBw==
-----END CERTIFICATE-----`

// The hashes are those that `openssl x509 -outform der | sha384sum` (sha256sum) printed.
describe('server end point', () => {
  test('server end point: signed with SHA-384: the SHA-384 of the certificate', () => {
    expect(serverEndPoint(rsaSha384)?.toString('hex')).toBe(
      '0ed63f45c598ac9a898d5231e7dae425af51a78e7c0ac1b1c305dc5113dcafbaee44f144e946d0136d4a4e6057269243',
    )
  })

  test('server end point: signed with SHA-256: the SHA-256 of the certificate', () => {
    expect(serverEndPoint(testTls.cert)?.toString('hex')).toBe(
      '9f87349a1b70c5e24891c73c94021a37cb2ccc995b25e09db6a2032711f7273e',
    )
  })

  test('server end point: a signature without a hash of its own: none', () => {
    expect(serverEndPoint(ed25519)).toBeUndefined()
  })
})
