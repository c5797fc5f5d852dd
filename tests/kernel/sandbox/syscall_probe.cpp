// Makes the system calls that its standard input lists and prints what each answered: one line in, one line out.
//
// In: the number and six arguments, in decimal; `@` for the address of a zeroed buffer. Out: the errno, or 0.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

int buffer[1024];

bool read_number(std::uintptr_t* number) {
  char word[32];
  if (std::scanf("%31s", word) != 1) return false;
  *number = word[0] == '@' ? reinterpret_cast<std::uintptr_t>(buffer) : std::strtoull(word, nullptr, 10);
  return true;
}

}  // namespace

int main() {
  std::uintptr_t words[7];
  for (;;) {
    for (std::uintptr_t& word : words)
      if (!read_number(&word)) return 0;
    const long number = static_cast<long>(words[0]);
    const long result = ::syscall(number, words[1], words[2], words[3], words[4], words[5], words[6]);
    const int error = result < 0 ? errno : 0;
    if (number == SYS_clone && result == 0) ::_exit(0);  // the child
    if (number == SYS_socket && result >= 0) (void)::close(static_cast<int>(result));
    if (number == SYS_socketpair && result >= 0) {
      (void)::close(buffer[0]);
      (void)::close(buffer[1]);
      buffer[0] = buffer[1] = 0;
    }
    (void)std::printf("%d\n", error);
    (void)std::fflush(stdout);  // the next call may be the last
  }
}
