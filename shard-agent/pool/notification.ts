/** Where the sender's pid is in a NotificationResponse. */
const PID_AT = 5

/**
 * A NotificationResponse with the session's own pid if the session itself has notified. Who else did cannot be told: the
 * backend may serve somebody else by now. Its number stays, which is no session's.
 */
export function fromSession(message: Buffer, backendPid: number, sessionPid: number): Buffer {
  if (message.readInt32BE(PID_AT) !== backendPid) return message
  const own = Buffer.from(message)
  own.writeInt32BE(sessionPid, PID_AT)
  return own
}
