/* Reset, and the little of a C library's system calls that printf needs, by semihosting. */
#include <stdint.h>

extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;
int main(void);

static int call(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void quit(int status)
{
    const uint32_t block[2] = {0x20026, (uint32_t)status};
    call(0x20, block);
    for (;;) {
    }
}

int _write(int file, const char *text, int count)
{
    (void)file;
    for (int i = 0; i < count; i++) call(3, text + i);
    return count;
}

void reset(void)
{
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb; isb");
#endif
    quit(main());
}

void fault(void)
{
    quit(99);
}

__attribute__((section(".vectors"), used)) const void *const vectors[16] = {
    &stack_top, reset, fault, fault, fault, fault, fault,
};
