/* The programs that `spawn` knows. */
#include "guests/shell/shell.h"

PROGRAM(count, "1: incq (%rsi); jmp 1b");
PROGRAM(primes,
    "   movl $2, %r8d; xorl %r9d, %r9d\n"
    "1: movl $2, %ecx\n"
    "2: movl %ecx, %eax; imull %ecx, %eax; cmpl %r8d, %eax; ja 3f\n"
    "   movl %r8d, %eax; xorl %edx, %edx; divl %ecx; testl %edx, %edx; jz 4f\n"
    "   incl %ecx; jmp 2b\n"
    "3: incl %r9d\n"
    "4: incl %r8d; cmpl $100000, %r8d; jb 1b\n"
    "   movl %r9d, %edi; movl $6, %eax; syscall; movl $1, %eax; syscall");
PROGRAM(clock,
    "   movl $1, %ebx\n"
    "1: movl $100, %edi; movl $3, %eax; syscall\n"
    "   movl %ebx, %edi; movl $6, %eax; syscall\n"
    "   incl %ebx; cmpl $5, %ebx; jbe 1b\n"
    "   movl $1, %eax; syscall");
PROGRAM(fault, "movq $0, (%rsp); hlt");

const struct program programs[] = {
    { "count", count_code, count_code_end, "counts as fast as it can, for ever" },
    { "primes", primes_code, primes_code_end, "prints how many primes there are below 100000" },
    { "clock", clock_code, clock_code_end, "prints a number each second, five times" },
    { "fault", fault_code, fault_code_end, "does what only a kernel may do, and is ended" },
};
const unsigned program_count = sizeof programs / sizeof programs[0];
