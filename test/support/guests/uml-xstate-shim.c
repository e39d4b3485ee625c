/*
 * Lets a User Mode Linux kernel from before Linux 6.13 run on processors with AMX.
 *
 * Such a kernel hands ptrace(PTRACE_SETREGSET, NT_X86_XSTATE) a buffer of 2696 bytes, all that there was to a
 * processor's extended state before AMX. The host wants the whole state or none (xstateregs_set in
 * arch/x86/kernel/fpu/regset.c) and answers EFAULT, whereupon the guest panics at its first program. This ptrace
 * fetches the whole state, lays the shorter one over its beginning, and sets that.
 *
 * With REFUSE_STATE it does as such a host does, on any processor.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned char whole_state[65536] __attribute__((aligned(64)));

static long set_state(pid_t pid, void *note, struct iovec *given)
{
#ifdef REFUSE_STATE
	errno = EFAULT;
	return -1;
#endif
	struct iovec whole = { whole_state, sizeof whole_state };

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, note, &whole) != 0 || given->iov_len >= whole.iov_len)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, note, given);
	memcpy(whole_state, given->iov_base, given->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, note, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
		return set_state(pid, address, data);
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		/* The system call stores the word; the library's function returns it. */
		long word;
		if (syscall(SYS_ptrace, request, pid, address, &word) != 0)
			return -1;
		errno = 0;
		return word;
	}
	return syscall(SYS_ptrace, request, pid, address, data);
}
