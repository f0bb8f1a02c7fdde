/* The compiled configuration, damaged in any way: what is accepted lies within its bytes and within its bounds. */
#include "beaml4-init/config.h"
#include "tests/fuzz/fuzz.h"

#define VMS 3u

static void build(struct system_config *config, unsigned vms)
{
    *config = (struct system_config) { CONFIG_MAGIC, vms, sizeof(struct vm_config) };
    for (unsigned i = 0; i < vms; i++) {
        config->vm[i] = (struct vm_config) { .memory_bytes = UINT64_C(64) << 20, .priority = 100, .autostart = 1 };
        strcpy(config->vm[i].name, "linux");
        strcpy(config->vm[i].kernel, "vmlinux");
        strcpy(config->vm[i].cmdline, "console=ttyS0");
    }
}

static void check_vm(const struct vm_config *vm)
{
    const char *refusal = config_check_vm(vm);

    if (refusal) {
        REQUIRE(refusal[0] != '\0');
        return;
    }
    REQUIRE(strnlen(vm->name, sizeof vm->name) < sizeof vm->name && vm->name[0]);
    REQUIRE(strnlen(vm->kernel, sizeof vm->kernel) < sizeof vm->kernel && vm->kernel[0]);
    REQUIRE(strnlen(vm->initrd, sizeof vm->initrd) < sizeof vm->initrd);
    REQUIRE(strnlen(vm->cmdline, sizeof vm->cmdline) < sizeof vm->cmdline);
    REQUIRE(vm->memory_bytes > 0 && vm->priority <= 200);
}

/* Every field of a record is as likely to be hit as the long texts are. */
static void damage_fields(struct script *script, struct vm_config *vm)
{
    static const size_t fields[] = {
        offsetof(struct vm_config, name), offsetof(struct vm_config, memory_bytes), offsetof(struct vm_config, mode),
        offsetof(struct vm_config, pages), offsetof(struct vm_config, rtc), offsetof(struct vm_config, boot),
        offsetof(struct vm_config, restart), offsetof(struct vm_config, priority),
        offsetof(struct vm_config, autostart), offsetof(struct vm_config, kernel), offsetof(struct vm_config, initrd), offsetof(struct vm_config, cmdline),
    };
    size_t field = fields[script_byte(script) % (sizeof fields / sizeof fields[0])];

    if (script_byte(script) & 1)
        memset((uint8_t *)vm + field, script_byte(script), script_take(script, 2) % (sizeof *vm - field));
    else
        script_damage(script, (uint8_t *)vm + field, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct script script = { bytes, length };
    size_t whole = sizeof(struct system_config) + VMS * sizeof(struct vm_config);
    uint8_t how = script_byte(&script);
    size_t available = how & 1 ? script_take(&script, 2) % (whole + 1) : whole;
    struct system_config *built = malloc(whole), *config = malloc(available ? available : 1);
    const struct system_config *found;

    REQUIRE(built && config);
    build(built, VMS);
    if (how & 2)
        damage_fields(&script, &built->vm[how >> 4 & 1]);
    else
        script_damage(&script, (uint8_t *)built, how & 4 ? sizeof *built : whole);
    memcpy(config, built, available);
    const char *refusal = config_open(&found, config, available);
    REQUIRE(!refusal || refusal[0] != '\0');
    for (unsigned i = 0; !refusal && i < found->vm_count; i++)
        check_vm(&found->vm[i]);
    free(built);
    free(config);
    return 0;
}
