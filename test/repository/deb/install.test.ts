import { expect, test } from 'vitest'
import { describeFailure } from '../../../src/repository/deb/install.ts'

test('a failing maintainer script is told by its package and the last it said', () => {
  // As mmdebstrap 1.3.5 and dpkg 1.21 print it.
  const output = [
    'I: installing remaining packages inside the chroot...',
    'Setting up redis-server (5:7.0.15-1~deb12u10) ...',
    'Setting up failing (1) ...',
    'cannot find the moon',
    'dpkg: error processing package failing:amd64 (--configure):',
    ' installed failing package post-installation script subprocess returned error exit status 3',
    'Setting up libssl3:amd64 (3.0.22-1~deb12u2) ...',
    'Errors were encountered while processing:',
    ' failing',
    'E: Sub-process env returned an error code (1)',
  ]
  expect(describeFailure(output)).toEqual({
    code: 'PACKAGE_INSTALL_FAILED',
    message: 'failing could not be installed',
    details: output.slice(2, 6),
  })
})

test('a disk that fills up while installing is told as that, not as a fault of the package', () => {
  const output = [
    'dpkg: error processing archive /var/cache/apt/archives/perl.deb (--install):',
    ' cannot copy extracted data for ./usr/bin/perl: failed to write (No space left on device)',
  ]
  expect(describeFailure(output).code).toBe('DISK_FULL')
})

test('a damaged blob is told as what it is', () => {
  const output = ['Err:1 copy:/repository ./ hello 2.10', '  Hash Sum mismatch', 'E: Failed to fetch']
  expect(describeFailure(output).code).toBe('BLOB_CORRUPT')
})
