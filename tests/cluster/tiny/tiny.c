/* The smallest model server and trainer that a test needs; static, starts in a millisecond.
 *
 *   tiny                serves on :8080. /ready answers by the artifact's first word: 503 for "unready"; the process ends for "crash".
 *                       Every other path answers with MODEL_VERSION, the artifact, and LEVEL if that is set. /metrics has tiny_requests_total.
 *                       With $FRAGILE set the process ends at every other path.
 *   tiny files DIR      serves DIR's files on :8080.
 *   tiny compare PATH QUESTION…   POSTs each to the candidate and to the stable version, and reports in which share of cases both gave the same
 *                       "outputs", or the same text, as metric agreement. Who gives no answer agrees with nobody.
 *   tiny job            writes $RESULT to $MODELOPS_RESULT, $RESULT_REPEAT times, and ends with $EXIT. With $HOLD set it runs until that file is there.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char artifact[65536], body[70000], reply[72000];

static void stop(int sig) { (void)sig; _exit(0); }

static const char *env(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static int read_file(const char *path, char *into, size_t size) {
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    into[fread(into, 1, size - 1, file)] = 0;
    fclose(file);
    return 1;
}

static int job(void) {
    while (*env("HOLD", "") && access(env("HOLD", ""), F_OK) != 0) usleep(50000);
    FILE *file = fopen(env("MODELOPS_RESULT", "/dev/termination-log"), "w");
    for (int i = 0; file && i < atoi(env("RESULT_REPEAT", "1")); i++) fputs(env("RESULT", ""), file);
    if (file) fclose(file);
    return atoi(env("EXIT", "0"));
}

/* The outputs in the answer of the server at http://HOST, or all of it if it tells none; empty if there is no answer. */
static void ask(const char *url, const char *path, const char *question, char *outputs, size_t size) {
    char host[256] = "", text[70000];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    outputs[0] = 0;
    if (sscanf(url, "http://%255[^:/]", host) != 1 || getaddrinfo(host, "80", &hints, &found)) return;
    int server = socket(AF_INET, SOCK_STREAM, 0), length = snprintf(text, sizeof text,
        "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path, host, strlen(question), question);
    struct timeval limit = {5, 0};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(server, found->ai_addr, found->ai_addrlen) == 0 && write(server, text, length) == length) {
        size_t got = 0;
        for (ssize_t more; got < sizeof text - 1 && (more = read(server, text + got, sizeof text - 1 - got)) > 0;) got += more;
        text[got] = 0;
        const char *from = strstr(text, "\"outputs\""), *whole = strstr(text, "\r\n\r\n");
        if (!from) from = whole;
        if (from && strncmp(text, "HTTP/1.1 200", 12) == 0) snprintf(outputs, size, "%s", from);
    }
    close(server);
    freeaddrinfo(found);
}

static int compare(const char *path, char **questions) {
    static char candidate[65536], stable[65536];
    int count = 0, same = 0;
    for (; questions[count]; count++) {
        ask(env("MODELOPS_CANDIDATE_URL", ""), path, questions[count], candidate, sizeof candidate);
        ask(env("MODELOPS_STABLE_URL", ""), path, questions[count], stable, sizeof stable);
        same += *candidate && strcmp(candidate, stable) == 0;
        printf("%s\n  candidate %s\n  stable    %s\n", questions[count], candidate, stable);
    }
    FILE *file = fopen(env("MODELOPS_RESULT", "/dev/termination-log"), "w");
    if (!file) return 1;
    fprintf(file, "{\"apiVersion\": \"modelops.dev/v1alpha1\", \"kind\": \"RunResult\", \"metrics\": {\"agreement\": \"%.4f\"}}", count ? (double)same / count : 0.0);
    return fclose(file);
}

static int answer(const char *request, const char *folder, long *served) {
    char path[512] = "", file[1024];
    sscanf(request, "GET %511s", path);
    if (folder) {
        snprintf(file, sizeof file, "%s%s", folder, path);
        body[0] = 0;
        return !strstr(path, "..") && read_file(file, body, sizeof body) ? 200 : 404;
    }
    if (strncmp(path, "/ready", 6) == 0) {
        body[0] = 0;
        return strncmp(artifact, "unready", 7) == 0 ? 503 : 200;
    }
    if (strncmp(path, "/metrics", 8) == 0)
        snprintf(body, sizeof body, "# TYPE tiny_requests_total counter\ntiny_requests_total %ld\n", *served);
    else if (*env("FRAGILE", ""))
        _exit(4);
    else
        ++*served, snprintf(body, sizeof body, "%s %s%s%s\n", env("MODEL_VERSION", "none"), artifact, *env("LEVEL", "") ? " " : "", env("LEVEL", ""));
    return 200;
}

int main(int count, char **words) {
    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);
    if (count > 1 && strcmp(words[1], "job") == 0) return job();
    if (count > 2 && strcmp(words[1], "compare") == 0) return compare(words[2], words + 3);
    const char *folder = count > 2 ? words[2] : NULL;
    char inside[1024];  // of an artifact that is a folder
    snprintf(inside, sizeof inside, "%s/model", env("MODEL_PATH", "/none"));
    if (!folder && !read_file(inside, artifact, sizeof artifact) && !read_file(env("MODEL_PATH", "/none"), artifact, sizeof artifact))
        fprintf(stderr, "no artifact\n");
    if (strncmp(artifact, "crash", 5) == 0) {
        fprintf(stderr, "the artifact says crash\n");
        return 3;
    }
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) return 1;
    for (long served = 0;;) {
        int client = accept(listener, 0, 0);
        struct timeval limit = {1, 0};
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        char request[4096];
        ssize_t got = read(client, request, sizeof request - 1);
        request[got > 0 ? got : 0] = 0;
        int code = answer(request, folder, &served);
        int size = snprintf(reply, sizeof reply, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n\r\n%s",
                            code, code == 200 ? "OK" : "Error", strlen(body), body);
        if (write(client, reply, size) < 0) perror("write");
        close(client);
    }
}
