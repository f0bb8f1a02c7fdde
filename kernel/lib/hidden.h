/* Included in front of every kernel source: clang applies -fvisibility=hidden to definitions alone, and would reach
 * what other files define through a GOT, which the kernel does not have. */
#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#endif
