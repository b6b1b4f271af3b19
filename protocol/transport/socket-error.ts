/** One line on why a socket failed. */
export function socketErrorText(error: NodeJS.ErrnoException): string {
  // OpenSSL's own messages are half addresses and file names.
  const { reason } = error as { reason?: string }
  if (reason !== undefined) return `TLS: ${reason}`
  return error.message || error.code || 'connection failed'
}
