import { closeSync, ftruncateSync } from 'node:fs'
import koffi from 'koffi'

/** Bytes that are a file as well, so that the kernel can send them without copying them. */
export interface MemoryFile {
  readonly bytes: Buffer
  /** Descriptor of the file: good for as long as somebody holds `bytes`. */
  readonly descriptor: number
  /** Once it is filled: puts it into huge pages where the kernel has some to spare. Sending from them is cheaper. */
  collapse(): void
}

const libc = koffi.load('libc.so.6')
const memfdCreate: (name: string, flags: number) => number = libc.func('int memfd_create(const char *, unsigned int)')
const mmap: (at: number, length: number, protection: number, flags: number, file: number, offset: number) => unknown =
  libc.func('uintptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)')
const munmap: (at: number, length: number) => number = libc.func('int munmap(uintptr_t, size_t)')
const madvise: (at: number, length: number, advice: number) => number = libc.func('int madvise(uintptr_t, size_t, int)')

/** Of Linux's <sys/mman.h>. */
const MFD_CLOEXEC = 1
const [PROT_NONE, PROT_READ_WRITE] = [0, 3]
const [MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS] = [0x01, 0x02, 0x10, 0x20]
const MADV_COLLAPSE = 25
const hugePage = 2 * 1024 * 1024

interface Held {
  readonly start: number
  readonly length: number
  readonly descriptor: number
}

/** The garbage collector does not know what stands behind a view: it is given back when the last view is gone. */
const views = new FinalizationRegistry<Held>(({ start, length, descriptor }) => {
  munmap(start, length)
  closeSync(descriptor)
})

/** `size` bytes of zeroes, at least one, by memfd_create(2). Undefined where the kernel gives no descriptor or no memory. */
export function memoryFile(name: string, size: number): MemoryFile | undefined {
  const descriptor = memfdCreate(name, MFD_CLOEXEC)
  if (descriptor < 0) return undefined
  ftruncateSync(descriptor, size)
  // Room to begin where a huge page can; a failure is no number, but all ones as a bigint.
  const length = size + hugePage
  const start = mmap(0, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  const at = Math.ceil(Number(start) / hugePage) * hugePage
  if (typeof start !== 'number' || mmap(at, size, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0) !== at) {
    if (typeof start === 'number') munmap(start, length)
    closeSync(descriptor)
    return undefined
  }
  const view = koffi.view(at, size)
  views.register(view, { start, length, descriptor })
  return {
    bytes: Buffer.from(view),
    descriptor,
    collapse: () => void madvise(at, size - (size % hugePage), MADV_COLLAPSE),
  }
}
