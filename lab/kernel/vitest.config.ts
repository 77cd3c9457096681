import { defineConfig } from 'vitest/config'

/** `npm run test:kernel`: builds kernels, which takes minutes the first time, and is no part of `npm test`. */
export default defineConfig({
  test: {
    include: ['lab/kernel/*.test.ts'],
    fileParallelism: false,
    reporters: ['verbose'],
    testTimeout: 400_000,
    hookTimeout: 3_600_000,
  },
})
