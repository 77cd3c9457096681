import { defineConfig } from 'vitest/config'

/** `npm run prove:rules`: installs two large stacks the first time, and is no part of `npm test`. */
export default defineConfig({
  test: {
    include: ['lab/prove/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 900_000,
  },
})
