// Errors are values. The function that fails states the fact; each caller adds one link; only the edge (a program's
// main, the control socket's reply, the life table's reason) prints it, once.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orlop {

/// What sort of failure it is: decides the exit code (config: 2, else 1) and the name of the bus error.
enum class ErrorKind : std::uint8_t {
  config,       ///< the operator's file or command line is wrong
  kernel,       ///< a system call failed: see errno_value
  denied,       ///< the caller may not do this
  not_found,    ///< no such container, image, volume
  conflict,     ///< the thing exists, is busy, or is in a state that forbids the request
  limit,        ///< a bound of orlop's own was reached
  corrupt,      ///< bytes of an image, a state file or a peer do not hold what they promise
  unsupported,  ///< this kernel, host or version of orlop cannot do it
  internal,     ///< orlop's own mistake
};

/// Returns the enum's name, as in `--json` and in bus error names.
std::string_view to_string(ErrorKind kind);

/// Where in an operator's file a mistake stands. Lines and columns count from 1, columns in bytes.
struct Place {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string key;  ///< the dotted key, such as `container.web.resources.memory.max`; may be empty

  friend bool operator==(const Place&, const Place&) = default;
};

/// `file:line:column`.
std::string text(const Place& place);

/// One failure with its story.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  int errno_value = 0;    ///< 0: the kernel did not say it
  std::string call = {};  ///< the system call that said it, such as "move_mount"; empty without errno_value
  std::vector<std::string> chain = {};  ///< what was being done, outermost first
  std::optional<Place> place = {};      ///< the line of the file that asked for it
  std::string remedy = {};              ///< what the operator can do next; may be empty

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

/// A new error of `kind` whose fact is `fact`.
[[nodiscard]] std::unexpected<Error> fail(ErrorKind kind, std::string fact, std::string remedy = {});

/// A new kernel error: `call` failed with `errno_value` while doing `fact`. Adds the remedy that belongs to errnos that
/// mislead (ENOSPC of a mount limit, EPERM of a missing capability) where one is known.
[[nodiscard]] std::unexpected<Error> fail_errno(int errno_value, std::string_view call, std::string fact);

/// Passes `error` on with one more link in front.
[[nodiscard]] std::unexpected<Error> fail(Error error, std::string doing);

/// Passes the error of a failed result on with one more link in front.
template <class T>
[[nodiscard]] std::unexpected<Error> fail(Result<T>&& failed, std::string doing) {
  return fail(std::move(failed).error(), std::move(doing));
}

/// Passes the error of a failed result on unchanged.
template <class T>
[[nodiscard]] std::unexpected<Error> pass(Result<T>&& failed) {
  return std::unexpected(std::move(failed).error());
}

/// One sentence: the chain joined by ": ", then the errno in words, without place and remedy. For reasons and logs.
std::string sentence(const Error& error);

/// What an operator reads: the sentence, then indented `kernel:`, `config:` and `remedy:` lines as far as they are
/// known.
std::string text(const Error& error);

/// The errno's symbol and words: "Invalid argument (EINVAL)".
std::string errno_text(int errno_value);

}  // namespace orlop
