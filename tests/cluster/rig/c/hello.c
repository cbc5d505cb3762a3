/* The self-test's workload: answers every request with its name, and /metrics with one counter. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void stop(int sig) { (void)sig; _exit(0); }

int main(void) {
    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) return 1;
    for (long served = 0;;) {
        int client = accept(listener, 0, 0);
        char request[2048], body[256], reply[512];
        ssize_t got = read(client, request, sizeof request - 1);
        request[got > 0 ? got : 0] = 0;
        if (strncmp(request, "GET /metrics", 12) == 0)
            snprintf(body, sizeof body, "# TYPE hello_requests_total counter\nhello_requests_total %ld\n", served);
        else
            snprintf(body, sizeof body, "hello from %s, request %ld\n", getenv("HOSTNAME"), ++served);
        int size = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; "
                            "version=0.0.4\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        if (write(client, reply, size) < 0) perror("write");
        close(client);
    }
}
