/* Says which class an image file is of: classify MODEL.onnx IMAGE
 *
 * The image must have the model's size; stb_image reads PNG, JPEG, BMP and more (Debian: libstb-dev). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnnt.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_FAILURE_USERMSG
#include <stb/stb_image.h>

static void *read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  char *data = NULL;
  size_t room = 0;
  *bytes = 0;
  if (file == NULL)
    return NULL;
  for (;;) {
    if (*bytes == room) {
      room = room == 0 ? 65536 : 2 * room;
      char *larger = realloc(data, room);
      if (larger == NULL)
        break;
      data = larger;
    }
    const size_t got = fread(data + *bytes, 1, room - *bytes, file);
    *bytes += got;
    if (got == 0)
      break;
  }
  fclose(file);
  return data;
}

/* The session, in memory of its own that is never given back; NULL with a message. */
static bnnt_session *open_model(const void *model, size_t bytes) {
  size_t needed = 0;
  void *memory = NULL;
  bnnt_session *session = NULL;
  bnnt_error error;
  bnnt_status status;
  while ((status = bnnt_open(model, bytes, NULL, memory, needed, &session, &needed, &error)) == BNNT_MEMORY)
    if ((memory = realloc(memory, needed)) == NULL)
      return NULL;
  if (status != BNNT_OK) {
    fprintf(stderr, "classify: %s\n", error.text);
    return NULL;
  }
  return session;
}

/* Behind the next text in quotes; its content is [*text, *text + *bytes). NULL at the end. */
static const char *next_text(const char *at, const char *end, const char **text, size_t *bytes) {
  while (at < end && *at != '"')
    ++at;
  if (at == end)
    return NULL;
  *text = ++at;
  while (at < end && *at != '"')
    at += *at == '\\' ? 2 : 1;
  if (at >= end)
    return NULL;
  *bytes = (size_t)(at - *text);
  return at + 1;
}

/* The name with this number in the metadata, {…, "classes": ["a", "b", …], …}; names are printed as JSON writes them.
 */
static void print_class(const bnnt_info *info, int index) {
  const char *at = info->input, *end = info->input + info->input_bytes, *text = NULL;
  size_t bytes = 0;
  while ((at = next_text(at, end, &text, &bytes)) != NULL)
    if (bytes == 7 && memcmp(text, "classes", 7) == 0)
      break;
  for (int i = 0; at != NULL && i <= index; ++i)
    at = next_text(at, end, &text, &bytes);
  if (at == NULL)
    printf("class %d", index);
  else
    printf("%.*s", (int)bytes, text);
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: classify MODEL.onnx IMAGE\n");
    return 2;
  }
  size_t bytes = 0;
  void *model = read_file(arguments[1], &bytes);
  bnnt_session *session = model == NULL ? NULL : open_model(model, bytes);
  if (session == NULL) {
    fprintf(stderr, "classify: cannot use %s\n", arguments[1]);
    return 2;
  }
  bnnt_info info;
  bnnt_describe(session, &info);
  int width = 0, height = 0, channels = 0;
  stbi_uc *pixels = stbi_load(arguments[2], &width, &height, &channels, info.channels);
  if (pixels == NULL) {
    fprintf(stderr, "classify: %s: %s\n", arguments[2], stbi_failure_reason());
    return 2;
  }
  if (width != info.width || height != info.height) {
    fprintf(stderr, "classify: %s is %dx%d, the model takes %dx%d\n", arguments[2], width, height, info.width,
            info.height);
    return 2;
  }
  float *logits = malloc(info.outputs * sizeof *logits);
  if (logits == NULL || bnnt_run(session, pixels, 1, logits, NULL) != BNNT_OK)
    return 2;
  int best = 0;
  for (int i = 1; i < (int)info.outputs; ++i)
    if (logits[i] > logits[best])
      best = i;
  print_class(&info, best);
  printf(" (logit %.4f, kernels %s)\n", logits[best], info.kernels);
  free(logits);
  stbi_image_free(pixels);
  free(model);
  return 0;
}
