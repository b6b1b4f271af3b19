import type { Socket } from 'node:net'

/** Input a client may have waiting while a statement runs, before its socket is paused. */
export const PENDING_BYTES_MAX = 1 << 20

/** Stops and restarts what a client sends. */
export class InputValve {
  private readonly socket: Socket
  private isShut = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  pause(): void {
    if (this.isShut) return
    this.isShut = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.isShut) return
    this.isShut = false
    this.socket.resume()
  }

  /** Until there is room for more; `undefined`: there is. */
  waitFor(room: void | Promise<void>): void {
    if (room === undefined) return
    this.pause()
    const resume = () => this.resume()
    room.then(resume, resume)
  }
}
