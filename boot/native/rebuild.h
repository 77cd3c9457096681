/* A bundle's segments out of what stands in this node's root, where it is still as the bundle brings it. */
#ifndef REBUILD_H
#define REBUILD_H
#include <stddef.h>
#include <sys/types.h>

/*
 * What a segment holds, as src/compose/recipe.ts writes it: a line for each member, of mode (octal, with the bits of its
 * type), owner, group, mtime, inode, links, bytes, what it holds (SHA-256 of a file, target of a link, MAJOR:MINOR of a
 * device, `-` for nothing), and its path without the leading slash; tabs between, and %XX for what may not stand in a line.
 *
 * Writes it as an archive that is not compressed to a file at `at`. `lines` is taken apart. The offset behind it, a
 * multiple of 4; -1 when anything of it is not there, or not the same: what was written is then nothing.
 */
off_t rebuild(char *lines, int file, off_t at);

/* The same of one file, kept for root alone: `path` without the leading slash, after the directory that it stands in. */
off_t rebuild_one(const char *directory, const char *path, const unsigned char *content, size_t size, int file, off_t at);
#endif
