/* Stands in for a JVM: the functions of its table that bnnt_jni.c calls, over plain memory.
 *
 * jvm MODEL.onnx PIXELS LOGITS: reads the raw pixels of some images, and writes their logits. */
#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

jlong Java_org_bnnt_Bnnt_open(JNIEnv *, jclass, jobject, jobject, jlongArray);
void Java_org_bnnt_Bnnt_describe(JNIEnv *, jclass, jlong, jintArray);
void Java_org_bnnt_Bnnt_run(JNIEnv *, jclass, jlong, jobject, jint, jobject);

struct buffer {
  void *data;
  jlong bytes;
};

static jclass find_class(JNIEnv *env, const char *name) {
  (void)env;
  return (jclass)(void *)name;
}
static jint throw_new(JNIEnv *env, jclass kind, const char *text) {
  (void)env;
  fprintf(stderr, "%s: %s\n", (const char *)(void *)kind, text);
  exit(1);
}
static void *address(JNIEnv *env, jobject buffer) {
  (void)env;
  return ((struct buffer *)(void *)buffer)->data;
}
static jlong capacity(JNIEnv *env, jobject buffer) {
  (void)env;
  return ((struct buffer *)(void *)buffer)->bytes;
}
static void set_longs(JNIEnv *env, jlongArray to, jsize start, jsize count, const jlong *from) {
  (void)env;
  memcpy((jlong *)(void *)to + start, from, (size_t)count * sizeof *from);
}
static void set_ints(JNIEnv *env, jintArray to, jsize start, jsize count, const jint *from) {
  (void)env;
  memcpy((jint *)(void *)to + start, from, (size_t)count * sizeof *from);
}

static struct buffer read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    exit(2);
  fseek(file, 0, SEEK_END);
  const long bytes = ftell(file);
  rewind(file);
  struct buffer content = {malloc((size_t)bytes), bytes};
  if (content.data == NULL || fread(content.data, 1, (size_t)bytes, file) != (size_t)bytes)
    exit(2);
  fclose(file);
  return content;
}

int main(int count, char **arguments) {
  if (count != 4)
    return 2;
  struct JNINativeInterface table;
  memset(&table, 0, sizeof table);
  table.FindClass = find_class;
  table.ThrowNew = throw_new;
  table.GetDirectBufferAddress = address;
  table.GetDirectBufferCapacity = capacity;
  table.SetLongArrayRegion = set_longs;
  table.SetIntArrayRegion = set_ints;
  const struct JNINativeInterface *functions = &table;
  JNIEnv *env = (JNIEnv *)(void *)&functions;
  struct buffer model = read_file(arguments[1]), pixels = read_file(arguments[2]), memory = {NULL, 0};
  jlong needed = 0, session = 0;
  for (int turn = 0; turn < 3 && session == 0; ++turn) {
    session =
        Java_org_bnnt_Bnnt_open(env, NULL, (jobject)&model, turn == 0 ? NULL : (jobject)&memory, (jlongArray)&needed);
    if (session == 0)
      memory = (struct buffer){realloc(memory.data, (size_t)needed), needed};
  }
  jint sizes[4];
  Java_org_bnnt_Bnnt_describe(env, NULL, session, (jintArray)sizes);
  const jint images = (jint)(pixels.bytes / (sizes[0] * sizes[1] * sizes[2]));
  struct buffer logits = {calloc((size_t)images, (size_t)sizes[3] * sizeof(float)),
                          images * sizes[3] * (jlong)sizeof(float)};
  Java_org_bnnt_Bnnt_run(env, NULL, session, (jobject)&pixels, images, (jobject)&logits);
  FILE *file = fopen(arguments[3], "wb");
  if (file == NULL || fwrite(logits.data, 1, (size_t)logits.bytes, file) != (size_t)logits.bytes || fclose(file) != 0)
    return 2;
  --logits.bytes; /* too small now: this must throw */
  Java_org_bnnt_Bnnt_run(env, NULL, session, (jobject)&pixels, images, (jobject)&logits);
  return 0;
}
