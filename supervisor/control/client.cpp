#include "supervisor/control/client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "base/name.hpp"
#include "base/sys.hpp"
#include "supervisor/control/socket_address.hpp"

namespace orlop::control {
namespace {

constexpr std::uint64_t for_ever = UINT64_MAX;
constexpr std::size_t max_progress_line_bytes = 4096;

struct MessageUnref {
  void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageUnref>;
struct SlotUnref {
  void operator()(sd_bus_slot* slot) const noexcept { sd_bus_slot_unref(slot); }
};

std::uint64_t usec(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

std::uint64_t monotonic_usec() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);  // cannot fail with this clock
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::unexpected<Error> bus_failure(int negative_errno, std::string fact) {
  return fail_errno(-negative_errno, "sd-bus", std::move(fact));
}

bool is_hang_up(int negative_errno) {
  return negative_errno == -ENOTCONN || negative_errno == -ECONNRESET || negative_errno == -EPIPE;
}

std::unexpected<Error> turned_away() {
  return fail(ErrorKind::limit, "the supervisor closed the connection at once",
              "it does so when you have no role (root, or the group orlop) or too many connections");
}

std::unexpected<Error> connection_lost() {
  return fail_errno(ECONNRESET, "sd-bus", "the supervisor closed the connection");
}

// --- connecting ---

Result<UniqueFd> connect_socket(const std::string& path, Duration timeout) {
  const std::size_t slash = path.rfind('/');
  const std::string directory_path = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const auto not_connected = [&](int errno_value, const char* call) -> std::unexpected<Error> {
    if (errno_value == ENOENT || errno_value == ENOTDIR)
      return fail(ErrorKind::not_found, fmt::format("no supervisor runs here: there is no socket '{}'", path),
                  "start orlop, or name its directory with --root");
    if (errno_value == ECONNREFUSED)
      return fail(ErrorKind::conflict, fmt::format("no supervisor listens on '{}'", path), "start orlop");
    if (errno_value == EACCES || errno_value == EPERM)
      return fail(ErrorKind::denied, fmt::format("you may not use the supervisor's socket '{}'", path),
                  "be root, or a member of the group orlop to read");
    if (errno_value == EAGAIN) errno_value = ETIMEDOUT;
    return fail_errno(errno_value, call, fmt::format("cannot connect to the supervisor at '{}'", path));
  };
  const Result<UniqueFd> directory = sys::open(directory_path, O_PATH | O_DIRECTORY);
  if (!directory) return not_connected(directory.error().errno_value, "open");
  const Result<sockaddr_un> address = socket_address(*directory, name);
  if (!address) return std::unexpected(address.error());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket", "cannot make a socket");
  // connect(2) waits for a place in the listener's queue as long as a send would.
  const std::uint64_t limit = usec(timeout);
  const timeval wait{.tv_sec = static_cast<time_t>(limit / 1'000'000),
                     .tv_usec = static_cast<suseconds_t>(limit % 1'000'000)};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
    return fail_errno(errno, "setsockopt", "cannot bound the time to connect");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
    return not_connected(errno, "connect");
  return socket;
}

// sd-bus authenticates while it is processed.
Result<void> authenticate(sd_bus* bus, Duration timeout) {
  const std::uint64_t deadline = monotonic_usec() + usec(timeout);
  for (;;) {
    int r = sd_bus_is_ready(bus);
    if (r > 0) return {};
    if (r == 0) r = sd_bus_process(bus, nullptr);
    if (r < 0) return turned_away();
    if (r > 0) continue;
    const std::uint64_t now = monotonic_usec();
    if (now >= deadline) return fail_errno(ETIMEDOUT, "sd-bus", "the supervisor did not answer in time");
    r = sd_bus_wait(bus, deadline - now);
    if (r < 0 && r != -EINTR) return bus_failure(r, "cannot wait for the supervisor");
  }
}

// --- calling ---

// Lines from the pipe that an import writes its progress to.
class ProgressLines {
 public:
  ProgressLines(UniqueFd pipe, const std::function<void(std::string_view line)>& tell)
      : pipe_(std::move(pipe)), tell_(tell) {}
  [[nodiscard]] int fd() const { return pipe_.get(); }

  /// Tells the lines that are there now; closes the pipe at its end.
  void read() {
    std::array<char, 4096> buffer;
    ssize_t count = 0;
    while (pipe_ && (count = ::read(pipe_.get(), buffer.data(), buffer.size())) > 0)
      for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(count))) take(c);
    if (count == 0 || errno != EAGAIN) pipe_.reset();
  }

 private:
  void take(char c) {
    if (c != '\n') line_ += c;
    if (c != '\n' && line_.size() < max_progress_line_bytes) return;
    tell_(line_);
    line_.clear();
  }

  UniqueFd pipe_;
  const std::function<void(std::string_view line)>& tell_;
  std::string line_;
};

// Waits until the bus, or the pipe, has something, or the bus's next timeout has come.
int wait_for_either(sd_bus* bus, ProgressLines& progress) {
  std::uint64_t timeout = for_ever;
  int r = sd_bus_get_timeout(bus, &timeout);
  if (r < 0) return r;
  const int events = sd_bus_get_events(bus);
  if (events < 0) return events;
  timespec wait{};
  if (timeout != for_ever) {
    const std::uint64_t now = monotonic_usec();
    const std::uint64_t rest = timeout > now ? timeout - now : 0;
    wait = {.tv_sec = static_cast<time_t>(rest / 1'000'000), .tv_nsec = static_cast<long>(rest % 1'000'000) * 1000};
  }
  std::array<pollfd, 2> watched = {pollfd{.fd = sd_bus_get_fd(bus), .events = static_cast<short>(events), .revents = 0},
                                   pollfd{.fd = progress.fd(), .events = POLLIN, .revents = 0}};
  r = ::ppoll(watched.data(), watched.size(), timeout == for_ever ? nullptr : &wait, nullptr);
  if (r < 0) return -errno;
  if (watched[1].revents != 0) progress.read();
  return 0;
}

int keep_answer(sd_bus_message* answer, void* kept, sd_bus_error* /*error*/) {
  static_cast<Message*>(kept)->reset(sd_bus_message_ref(answer));
  return 0;
}

// Sends `request` and returns its answer. Signals that come meanwhile are passed over, so none pile up.
Result<Message> transact(sd_bus* bus, const Message& request, std::uint64_t timeout_usec, ProgressLines* progress) {
  Message answer;
  sd_bus_slot* raw = nullptr;
  if (const int r = sd_bus_call_async(bus, &raw, request.get(), keep_answer, &answer, timeout_usec); r < 0)
    return is_hang_up(r) ? connection_lost() : bus_failure(r, "cannot send a call");
  const std::unique_ptr<sd_bus_slot, SlotUnref> slot(raw);
  while (!answer) {
    int r = sd_bus_process(bus, nullptr);
    if (r > 0 || answer) continue;
    if (r < 0) return connection_lost();
    r = progress != nullptr ? wait_for_either(bus, *progress) : sd_bus_wait(bus, for_ever);
    if (r < 0 && r != -EINTR) return bus_failure(r, "cannot wait for the supervisor's answer");
  }
  if (progress != nullptr) progress->read();
  if (const sd_bus_error* error = sd_bus_message_get_error(answer.get()); error != nullptr) {
    if (sd_bus_is_open(bus) <= 0) return connection_lost();
    return std::unexpected(from_bus(error->name, error->message != nullptr ? error->message : ""));
  }
  return answer;
}

Result<Message> new_call(sd_bus* bus, const std::string& path, const Method& method) {
  sd_bus_message* raw = nullptr;
  const int r = sd_bus_message_new_method_call(bus, &raw, nullptr, path.c_str(), method.interface, method.name);
  if (r < 0) return bus_failure(r, fmt::format("cannot make a call of {}", method.name));
  return Message(raw);
}

std::unexpected<Error> unreadable() {
  return fail(ErrorKind::unsupported, "the supervisor's answer has another form than this version knows",
              "the supervisor and this client are of different versions");
}

Result<std::string> read_string(sd_bus_message* answer) {
  const char* string = nullptr;
  if (sd_bus_message_read_basic(answer, 's', &string) <= 0) return unreadable();
  return std::string(string);
}

template <class T>
Result<T> read_answer(sd_bus_message* answer);
template <>
Result<void> read_answer<void>(sd_bus_message* /*answer*/) {
  return {};
}
template <>
Result<std::string> read_answer<std::string>(sd_bus_message* answer) {
  return read_string(answer);
}
template <>
Result<Exit> read_answer<Exit>(sd_bus_message* answer) {
  Exit exit;
  if (sd_bus_message_read_basic(answer, 'i', &exit.exit_code) <= 0) return unreadable();
  Result<std::string> reason = read_string(answer);
  if (!reason) return pass(std::move(reason));
  exit.reason = std::move(*reason);
  return exit;
}
template <>
Result<Files> read_answer<Files>(sd_bus_message* answer) {
  Files files;
  Result<std::string> json = read_string(answer);
  if (!json) return pass(std::move(json));
  files.json = std::move(*json);
  if (sd_bus_message_enter_container(answer, 'a', "h") <= 0) return unreadable();
  int fd = -1;
  while (sd_bus_message_read_basic(answer, 'h', &fd) > 0) {
    Result<UniqueFd> file = sys::duplicate(BorrowedFd(fd));
    if (!file) return pass(std::move(file));
    files.files.push_back(std::move(*file));
  }
  return files;
}

// A call of `path` whose arguments `append` adds (negative errno when it cannot).
template <class T, class Append>
Result<T> call(sd_bus* bus, const std::string& path, const Method& method, std::uint64_t timeout_usec, Append append,
               ProgressLines* progress = nullptr) {
  Result<Message> request = new_call(bus, path, method);
  if (!request) return pass(std::move(request));
  if (const int r = append(request->get()); r < 0)
    return bus_failure(r, fmt::format("cannot put the arguments of {} into a message", method.name));
  Result<Message> answer = transact(bus, *request, timeout_usec, progress);
  if (!answer) return pass(std::move(answer));
  return read_answer<T>(answer->get());
}

constexpr auto no_arguments = [](sd_bus_message* /*request*/) { return 0; };

template <class T>
Result<T> of_supervisor(sd_bus* bus, const Method& method, std::uint64_t timeout_usec) {
  return call<T>(bus, supervisor_path, method, timeout_usec, no_arguments);
}

template <class T>
Result<T> of_supervisor(sd_bus* bus, const Method& method, std::uint64_t timeout_usec, const std::string& argument) {
  return call<T>(bus, supervisor_path, method, timeout_usec,
                 [&](sd_bus_message* request) { return sd_bus_message_append(request, "s", argument.c_str()); });
}

template <class T, class Append>
Result<T> of_container(sd_bus* bus, const std::string& container, const Method& method, std::uint64_t timeout_usec,
                       Append append) {
  if (!is_valid_name(container))
    return fail(ErrorKind::config, fmt::format("'{}' is no name of a container", container),
                fmt::format("a name is {}", name_rule));
  return call<T>(bus, container_path(container), method, timeout_usec, append);
}

template <class T>
Result<T> of_container(sd_bus* bus, const std::string& container, const Method& method, std::uint64_t timeout_usec) {
  return of_container<T>(bus, container, method, timeout_usec, no_arguments);
}

int append_options(sd_bus_message* request, const ImportOptions& options, const UniqueFd& progress) {
  int r = sd_bus_message_open_container(request, 'a', "{sv}");
  if (r >= 0 && !options.name.empty()) r = sd_bus_message_append(request, "{sv}", "name", "s", options.name.c_str());
  if (r >= 0 && !options.reference.empty())
    r = sd_bus_message_append(request, "{sv}", "reference", "s", options.reference.c_str());
  if (r >= 0 && progress) r = sd_bus_message_append(request, "{sv}", "progress", "h", progress.get());
  if (r >= 0 && !options.mkdir.empty()) {
    std::vector<char*> paths;
    for (const std::string& path : options.mkdir) paths.push_back(const_cast<char*>(path.c_str()));  // only read
    paths.push_back(nullptr);
    r = sd_bus_message_open_container(request, 'e', "sv");
    if (r >= 0) r = sd_bus_message_append(request, "s", "mkdir");
    if (r >= 0) r = sd_bus_message_open_container(request, 'v', "as");
    if (r >= 0) r = sd_bus_message_append_strv(request, paths.data());
    if (r >= 0) r = sd_bus_message_close_container(request);
    if (r >= 0) r = sd_bus_message_close_container(request);
  }
  return r < 0 ? r : sd_bus_message_close_container(request);
}

}  // namespace

Result<Client> Client::connect(const std::string& socket_path, Duration timeout) {
  Result<UniqueFd> socket = connect_socket(socket_path, timeout);
  if (!socket) return pass(std::move(socket));
  sd_bus* bus = nullptr;
  if (const int r = sd_bus_new(&bus); r < 0) return bus_failure(r, "cannot make a bus");
  Client client(bus);
  if (const int r = sd_bus_set_fd(bus, socket->get(), socket->get()); r < 0)
    return bus_failure(r, "cannot give the bus its socket");
  (void)socket->release();  // the bus has it now
  int r = sd_bus_negotiate_fds(bus, 1);
  if (r >= 0) r = sd_bus_start(bus);
  if (r < 0) return is_hang_up(r) ? turned_away() : bus_failure(r, "cannot speak to the supervisor");
  if (Result<void> ready = authenticate(bus, timeout); !ready) return pass(std::move(ready));
  return client;
}

Result<std::string> Client::apply(BorrowedFd file, const std::string& file_name, bool dry_run) {
  return call<std::string>(bus_.get(), supervisor_path, method::apply, for_ever, [&](sd_bus_message* request) {
    return sd_bus_message_append(request, "hsa{sv}", file.get(), file_name.c_str(), 1, "dry_run", "b", dry_run);
  });
}

Result<std::string> Client::import_image(BorrowedFd source, ImageSource kind, const ImportOptions& options) {
  std::optional<ProgressLines> lines;
  UniqueFd writer;
  if (options.progress) {
    Result<sys::Pipe> pipe = sys::pipe(O_NONBLOCK);
    if (!pipe) return pass(std::move(pipe));
    lines.emplace(std::move(pipe->read), options.progress);
    writer = std::move(pipe->write);
  }
  return call<std::string>(
      bus_.get(), supervisor_path, method::import_image, for_ever,
      [&](sd_bus_message* request) {
        const char* word = kind == ImageSource::layout ? "layout" : "archive";
        const int r = sd_bus_message_append(request, "hs", source.get(), word);
        return r < 0 ? r : append_options(request, options, writer);
      },
      lines ? &*lines : nullptr);
}

Result<std::string> Client::list_images() {
  return of_supervisor<std::string>(bus_.get(), method::list_images, usec(quick));
}
Result<std::string> Client::inspect_image(const std::string& image) {
  return of_supervisor<std::string>(bus_.get(), method::inspect_image, usec(quick), image);
}
Result<void> Client::remove_image(const std::string& image) {
  return of_supervisor<void>(bus_.get(), method::remove_image, for_ever, image);
}
Result<std::string> Client::list_volumes() {
  return of_supervisor<std::string>(bus_.get(), method::list_volumes, usec(quick));
}
Result<std::string> Client::inspect_volume(const std::string& volume) {
  return of_supervisor<std::string>(bus_.get(), method::inspect_volume, usec(quick), volume);
}
Result<void> Client::remove_volume(const std::string& volume) {
  return of_supervisor<void>(bus_.get(), method::remove_volume, for_ever, volume);
}
Result<std::string> Client::status() {
  return of_supervisor<std::string>(bus_.get(), method::status, usec(quick));
}
Result<std::string> Client::effective() {
  return of_supervisor<std::string>(bus_.get(), method::effective, usec(quick));
}
Result<Files> Client::audit_files() {
  return of_supervisor<Files>(bus_.get(), method::audit_files, usec(quick));
}
Result<void> Client::shutdown() {
  return of_supervisor<void>(bus_.get(), method::shutdown, for_ever);
}

Result<void> Client::start(const std::string& container) {
  return of_container<void>(bus_.get(), container, method::start, for_ever);
}
Result<void> Client::stop(const std::string& container) {
  return of_container<void>(bus_.get(), container, method::stop, for_ever);
}
Result<void> Client::restart(const std::string& container) {
  return of_container<void>(bus_.get(), container, method::restart, for_ever);
}
Result<void> Client::kill(const std::string& container, const std::string& signal) {
  return of_container<void>(bus_.get(), container, method::kill, for_ever, [&](sd_bus_message* request) {
    return sd_bus_message_append(request, "s", signal.c_str());
  });
}
Result<Exit> Client::wait(const std::string& container) {
  return of_container<Exit>(bus_.get(), container, method::wait, for_ever);
}
Result<std::string> Client::inspect(const std::string& container) {
  return of_container<std::string>(bus_.get(), container, method::inspect, usec(quick));
}
Result<std::string> Client::plan(const std::string& container) {
  return of_container<std::string>(bus_.get(), container, method::plan, usec(quick));
}
Result<Files> Client::log_files(const std::string& container) {
  return of_container<Files>(bus_.get(), container, method::log_files, usec(quick),
                             [](sd_bus_message* request) { return sd_bus_message_append(request, "a{sv}", 0); });
}

}  // namespace orlop::control
