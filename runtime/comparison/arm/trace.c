/* A plugin of qemu-user (API 1) that writes the address of every instruction that is executed between the second and the
   third call of one at `mark`, a line each: -plugin libtrace.so,out=FILE,mark=HEX. Declared by hand, because
   distributions package no header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info_t qemu_info_t;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t mark, marks;
static FILE *out;

static void execute(unsigned cpu, void *where) {
  const uint64_t address = (uint64_t)(uintptr_t)where;
  (void)cpu;
  if (address == mark)
    ++marks;
  else if (marks == 1)
    fprintf(out, "%" PRIx64 "\n", address);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
    void *const where = (void *)(uintptr_t)qemu_plugin_insn_vaddr(instruction);
    qemu_plugin_register_vcpu_insn_exec_cb(instruction, execute, 0, where);
  }
}

static void finish(qemu_plugin_id_t id, void *nothing) {
  (void)id;
  (void)nothing;
  fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int count,
                                                               char **arguments) {
  static char path[500];
  (void)info;
  for (int i = 0; i < count; ++i) {
    sscanf(arguments[i], "out=%499s", path);
    sscanf(arguments[i], "mark=%" SCNx64, &mark);
  }
  out = fopen(path, "w");
  if (out == NULL)
    return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  qemu_plugin_register_atexit_cb(id, finish, NULL);
  return 0;
}
