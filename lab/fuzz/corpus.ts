import { readdirSync, readFileSync } from 'node:fs'
import { encodeTftp } from '../../src/tftp/packet.ts'

export type Protocol = 'dhcp' | 'tftp' | 'http'

const golden = new URL('../../test/dhcp/golden/', import.meta.url)

/** What mutants are made of: captured client packets, and requests as real clients write them. */
export const corpus: { readonly [P in Protocol]: readonly Buffer[] } = {
  dhcp: readdirSync(golden)
    .filter((file) => file.endsWith('.hex') && !file.startsWith('reply-'))
    .map((file) => {
      const lines = readFileSync(new URL(file, golden), 'utf8').split('\n')
      return Buffer.from(lines.filter((line) => !line.startsWith('#')).join(''), 'hex')
    }),
  tftp: [
    read('undionly.kpxe', { blksize: '1432', tsize: '0' }),
    read('snponly.efi', { tsize: '0', blksize: '1468', windowsize: '4' }),
    read('undionly.kpxe', {}),
    read('undionly.kpxe', { blksize: '65464', windowsize: '65535', timeout: '1' }),
    read('pxelinux.cfg/01-52-54-00-aa-00-01', { blksize: '512' }),
    read('../../../etc/passwd', { tsize: '0' }),
    read('autoexec.ipxe', {}, 'netascii'),
    encodeTftp({ op: 'write', file: 'x', mode: 'octet', options: new Map() }),
    encodeTftp({ op: 'ack', block: 1 }),
    encodeTftp({ op: 'data', block: 1, bytes: Buffer.alloc(512, 7) }),
    encodeTftp({ op: 'error', code: 0, message: 'no' }),
    encodeTftp({ op: 'options', options: new Map([['blksize', '1432']]) }),
  ],
  http: [
    get('/boot.ipxe'),
    get('/ipxe?mac=52:54:00:aa:00:01&uuid=3c0f1c9e-8a53-4d0f-9bb8-1d2f1f0e7a11&serial=A%201'),
    get(`/bundle/sha256:${'0'.repeat(64)}/kernel?mac=52:54:00:aa:00:01&boot=0123456789abcdef01234567`),
    get(`/bundle/sha256:${'0'.repeat(64)}/initramfs`, 'Range: bytes=0-99,200-\r\nIf-Range: "x"\r\n'),
    get('/overlay?mac=52:54:00:aa:00:01&boot=0123456789abcdef01234567'),
    get('/program/snponly.efi', 'Range: bytes=-1\r\n'),
    get('/readyz'),
    get('/../../etc/passwd'),
    Buffer.from(
      'POST /report?mac=52:54:00:aa:00:01&boot=0123456789abcdef01234567&stage=ready&uptime=3.2 HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nready\n',
    ),
    Buffer.from('POST /report HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    Buffer.from('HEAD /program/snponly.efi HTTP/1.0\r\n\r\n'),
    get('/metadata?mac=52:54:00:aa:00:01'),
    get('/v1/boot/52:54:00:aa:00:01'),
    get('/nocloud/52:54:00:aa:00:01/user-data'),
  ],
}

/** Answered with an ERROR at once: to learn how far the server is. */
export const unknownFile = read('no-such-file', {})

function read(file: string, options: Record<string, string>, mode = 'octet'): Buffer {
  return encodeTftp({ op: 'read', file, mode, options: new Map(Object.entries(options)) })
}

function get(path: string, headers = ''): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 10.77.0.1:8080\r\nUser-Agent: iPXE/1.0.0\r\n${headers}\r\n`)
}
