/** What a backend says that belongs to no statement, or is for nobody but the agent. */
import { MSG } from '../../protocol/wire/frames.ts'
import { TOLD_CODE } from '../../sql/install/notification-functions.ts'
import type { BackendOwner } from './backend-owner.ts'
import { errorCode } from './error-scan.ts'
import { fromSession } from './notification.ts'

export class Asides {
  /** The transaction on it has called `weft.notify`. */
  private tells = false
  private readonly pid: number

  constructor(backendPid: number) {
    this.pid = backendPid
  }

  /** False: it is not one of these. They may come with the replies to anything, and are never left out with them. */
  take(type: number, chunk: Buffer, start: number, end: number, owner: BackendOwner | undefined): boolean {
    if (type === MSG.noticeResponse && errorCode(chunk, start, end) === TOLD_CODE) {
      this.tells = true
      return true
    }
    if (type !== MSG.notificationResponse) return false
    owner?.sink.async(fromSession(chunk.subarray(start, end), this.pid, owner.knownAs))
    return true
  }

  /** Whether it has, once: the transaction is over. */
  takeTells(): boolean {
    const { tells } = this
    this.tells = false
    return tells
  }
}
