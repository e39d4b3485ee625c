/*
 * Makes a User Mode Linux kernel end as it does on a processor with AMX before Linux 6.13, on any processor: the host
 * refuses to set the extended state of the guest's first program (uml-xstate-shim.c says why it does so there).
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE) {
		errno = EFAULT;
		return -1;
	}
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
