#include "supervisor/control/api.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/name.hpp"
#include "supervisor/control/arguments.hpp"
#include "supervisor/control/connection.hpp"

namespace orlop::control {
namespace {

// --- answers ---

int append(sd_bus_message* message, const std::string& text) {
  return sd_bus_message_append(message, "s", text.c_str());
}

int append(sd_bus_message* message, const Exit& exit) {
  return sd_bus_message_append(message, "is", exit.exit_code, exit.reason.c_str());
}

int append(sd_bus_message* message, const Files& files) {
  if (files.files.size() > max_reply_fds) return -E2BIG;
  int r = sd_bus_message_append(message, "s", files.json.c_str());
  if (r >= 0) r = sd_bus_message_open_container(message, 'a', "h");
  for (const UniqueFd& file : files.files)
    if (r >= 0) r = sd_bus_message_append(message, "h", file.get());  // duplicates it
  return r < 0 ? r : sd_bus_message_close_container(message);
}

BusMessage error_answer(sd_bus_message* call, const Error& error) {
  sd_bus_message* answer = nullptr;
  const std::string name = error_name(error.kind);
  const std::string words = text(error);
  const sd_bus_error bus_error{name.c_str(), words.c_str(), 0};
  (void)sd_bus_message_new_method_error(call, &answer, &bus_error);  // null when there is no memory
  return BusMessage(answer);
}

template <class T>
BusMessage result_answer(sd_bus_message* call, const Result<T>& result) {
  if (!result) return error_answer(call, result.error());
  sd_bus_message* raw = nullptr;
  int r = sd_bus_message_new_method_return(call, &raw);
  BusMessage answer(raw);
  if constexpr (!std::is_void_v<T>)
    if (r >= 0) r = append(raw, *result);
  if (r >= 0) return answer;
  return error_answer(call, fail_errno(-r, "sd-bus", "cannot put the answer into a message").error());
}

// --- calls ---

// One method call on its way to the service.
struct Invocation {
  sd_bus_message* message;
  Connection& connection;
  std::shared_ptr<PendingCall> call;
  std::string container;  // whose path was called; empty for the supervisor's

  [[nodiscard]] const Peer& peer() const { return connection.peer(); }
  [[nodiscard]] Service& service() const { return connection.service(); }

  template <class T>
  Reply<T> reply() const {
    const std::weak_ptr<PendingCall> waiting = call;
    return Reply<T>(
        [waiting](const Result<T>& result) {
          if (const std::shared_ptr<PendingCall> pending = waiting.lock())
            pending->connection.answer(*pending, result_answer(pending->message.get(), result).get());
        },
        waiting);
  }
};

Result<void> apply(Invocation& in) {
  ApplyRequest request;
  Result<UniqueFd> file = read_fd(in.message);
  if (!file) return pass(std::move(file));
  if (Result<void> right = require_type(*file, S_IFREG, "the host file"); !right) return right;
  request.file = std::move(*file);
  Result<std::string> name = read_path(in.message);
  if (!name) return pass(std::move(name));
  request.file_name = std::move(*name);
  Result<void> options = read_options(in.message, [&](const std::string& key) -> Result<bool> {
    if (key != "dry_run") return false;
    const Result<bool> value = read_bool(in.message);
    if (!value) return value;
    request.dry_run = *value;
    return true;
  });
  if (!options) return options;
  in.service().apply(in.peer(), std::move(request), in.reply<std::string>());
  return {};
}

Result<bool> take_import_option(sd_bus_message* message, const std::string& key, ImportRequest& request) {
  if (key == "name" || key == "reference") {
    Result<std::string> word = read_word(message, key, 512);
    if (!word) return pass(std::move(word));
    (key == "name" ? request.name : request.reference) = std::move(*word);
  } else if (key == "mkdir") {
    Result<std::vector<std::string>> paths = read_paths(message);
    if (!paths) return pass(std::move(paths));
    request.mkdir = std::move(*paths);
  } else if (key == "progress") {
    Result<UniqueFd> pipe = read_pipe(message, "where progress goes");
    if (!pipe) return pass(std::move(pipe));
    request.progress = std::move(*pipe);
  } else {
    return false;
  }
  return true;
}

Result<void> import_image(Invocation& in) {
  ImportRequest request;
  Result<UniqueFd> source = read_fd(in.message);
  if (!source) return pass(std::move(source));
  request.source = std::move(*source);
  const Result<std::string> kind = read_word(in.message, "kind of source", 16);
  if (!kind) return std::unexpected(kind.error());
  if (*kind != "layout" && *kind != "archive")
    return fail(ErrorKind::config, "the kind of an image's source is 'layout' or 'archive'");
  request.kind = *kind == "layout" ? ImageSource::layout : ImageSource::archive;
  const mode_t type = request.kind == ImageSource::layout ? S_IFDIR : S_IFREG;
  if (Result<void> right = require_type(request.source, type, "the image's source"); !right) return right;
  Result<void> options =
      read_options(in.message, [&](const std::string& key) { return take_import_option(in.message, key, request); });
  if (!options) return options;
  in.service().import_image(in.peer(), std::move(request), in.reply<std::string>());
  return {};
}

Result<void> kill(Invocation& in) {
  Result<std::string> signal = read_word(in.message, "signal", 32);
  if (!signal) return pass(std::move(signal));
  in.service().kill(in.peer(), in.container, std::move(*signal), in.reply<void>());
  return {};
}

Result<void> log_files(Invocation& in) {
  Result<void> options = read_options(in.message, [](const std::string&) -> Result<bool> { return false; });
  if (!options) return options;
  in.service().log_files(in.peer(), in.container, in.reply<Files>());
  return {};
}

// Methods without arguments, of the supervisor and of a container.
template <class T, void (Service::*method)(const Peer&, Reply<T>)>
Result<void> plain(Invocation& in) {
  (in.service().*method)(in.peer(), in.reply<T>());
  return {};
}
template <class T, void (Service::*method)(const Peer&, std::string, Reply<T>)>
Result<void> of_container(Invocation& in) {
  (in.service().*method)(in.peer(), in.container, in.reply<T>());
  return {};
}
// Methods whose one argument is an image, or a volume.
template <class T, void (Service::*method)(const Peer&, std::string, Reply<T>)>
Result<void> of_image(Invocation& in) {
  Result<std::string> image = read_word(in.message, "image", 512);
  if (!image) return pass(std::move(image));
  (in.service().*method)(in.peer(), std::move(*image), in.reply<T>());
  return {};
}
template <class T, void (Service::*method)(const Peer&, std::string, Reply<T>)>
Result<void> of_volume(Invocation& in) {
  Result<std::string> volume = read_volume(in.message);
  if (!volume) return pass(std::move(volume));
  (in.service().*method)(in.peer(), std::move(*volume), in.reply<T>());
  return {};
}

struct Handler {
  const Method& method;
  Result<void> (*handle)(Invocation& in);  // an error: the arguments were wrong, nothing was called
};

constexpr std::array supervisor_handlers = {
    Handler{method::apply, apply},
    Handler{method::import_image, import_image},
    Handler{method::list_images, plain<std::string, &Service::list_images>},
    Handler{method::inspect_image, of_image<std::string, &Service::inspect_image>},
    Handler{method::remove_image, of_image<void, &Service::remove_image>},
    Handler{method::list_volumes, plain<std::string, &Service::list_volumes>},
    Handler{method::inspect_volume, of_volume<std::string, &Service::inspect_volume>},
    Handler{method::remove_volume, of_volume<void, &Service::remove_volume>},
    Handler{method::status, plain<std::string, &Service::status>},
    Handler{method::effective, plain<std::string, &Service::effective>},
    Handler{method::audit_files, plain<Files, &Service::audit_files>},
    Handler{method::shutdown, plain<void, &Service::shutdown>},
};
constexpr std::array container_handlers = {
    Handler{method::start, of_container<void, &Service::start>},
    Handler{method::stop, of_container<void, &Service::stop>},
    Handler{method::restart, of_container<void, &Service::restart>},
    Handler{method::kill, kill},
    Handler{method::wait, of_container<Exit, &Service::wait>},
    Handler{method::inspect, of_container<std::string, &Service::inspect>},
    Handler{method::plan, of_container<std::string, &Service::plan>},
    Handler{method::log_files, log_files},
};
static_assert(supervisor_handlers.size() == supervisor_methods.size());
static_assert(container_handlers.size() == container_methods.size());

// The name in a container's path; empty if it is none. The encoding is not taken for granted: only a name that
// follows the pattern and is written as we write it counts.
std::string name_in(const char* path) {
  char* raw = nullptr;
  if (sd_bus_path_decode(path, containers_path, &raw) <= 0) return {};
  const std::unique_ptr<char, decltype(&std::free)> name(raw, &std::free);
  if (!is_valid_name(name.get()) || container_path(name.get()) != path) return {};
  return name.get();
}

int on_call(sd_bus_message* message, void* userdata, sd_bus_error* /*error*/) {
  auto& connection = *static_cast<Connection*>(userdata);
  const std::string_view interface =
      sd_bus_message_get_interface(message) != nullptr ? sd_bus_message_get_interface(message) : std::string_view();
  const std::string_view member = sd_bus_message_get_member(message);
  const std::string container = name_in(sd_bus_message_get_path(message));
  const std::span<const Handler> handlers =
      container.empty() ? std::span<const Handler>(supervisor_handlers) : std::span<const Handler>(container_handlers);
  const auto handler = std::ranges::find_if(handlers, [&](const Handler& each) { return member == each.method.name; });
  if (handler == handlers.end() || (!interface.empty() && interface != handler->method.interface)) return 0;

  Result<std::shared_ptr<PendingCall>> call = connection.expect_answer(message);
  if (!call) return sd_bus_send(nullptr, error_answer(message, call.error()).get(), nullptr);
  Invocation in{.message = message, .connection = connection, .call = *call, .container = container};
  Result<void> handled;
  const Method& method = handler->method;
  if (connection.peer().role < method.role) {
    const std::string what =
        fmt::format("{}.{}{}{}", method.interface, method.name, container.empty() ? "" : " ", container);
    handled = fail(ErrorKind::denied, fmt::format("{} needs the role {}; you have the role {}", what,
                                                  to_string(method.role), to_string(connection.peer().role)));
    connection.service().refused(connection.peer(), what);
  } else {
    handled = handler->handle(in);
  }
  if (!handled) in.reply<void>().answer(std::move(handled));
  return 1;
}

// --- properties ---

int get_supervisor_property(sd_bus* /*bus*/, const char* /*path*/, const char* /*interface*/, const char* property,
                            sd_bus_message* reply, void* userdata, sd_bus_error* /*error*/) {
  const SupervisorView view = static_cast<Connection*>(userdata)->service().view();
  const std::string_view name = property;
  if (name == "Version") return append(reply, view.version);
  if (name == "Name") return append(reply, view.name);
  if (name == "State") return append(reply, view.state);
  if (name != "Labels") return -ENOENT;
  int r = sd_bus_message_open_container(reply, 'a', "{ss}");
  for (const auto& [key, value] : view.labels)
    if (r >= 0) r = sd_bus_message_append(reply, "{ss}", key.c_str(), value.c_str());
  return r < 0 ? r : sd_bus_message_close_container(reply);
}

int get_container_property(sd_bus* /*bus*/, const char* path, const char* /*interface*/, const char* property,
                           sd_bus_message* reply, void* userdata, sd_bus_error* /*error*/) {
  const std::optional<ContainerView> view = static_cast<Connection*>(userdata)->service().find(name_in(path));
  if (!view) return -ENOENT;
  const std::string_view name = property;
  if (name == "Name") return append(reply, view->name);
  if (name == "State") return append(reply, view->state);
  if (name == "Health") return append(reply, view->health);
  if (name == "Reason") return append(reply, view->reason);
  if (name == "Image") return append(reply, view->image);
  if (name == "Pid") return sd_bus_message_append(reply, "u", static_cast<std::uint32_t>(view->pid));
  if (name == "Started") return sd_bus_message_append(reply, "t", view->started_usec);
  if (name == "Restarts") return sd_bus_message_append(reply, "u", view->restarts);
  if (name == "ExitCode") return sd_bus_message_append(reply, "i", view->exit_code.value_or(0));
  if (name == "StartNumber") return sd_bus_message_append(reply, "t", view->start_number);
  return -ENOENT;
}

// --- objects ---

int find_container(sd_bus* /*bus*/, const char* path, const char* /*interface*/, void* userdata, void** found,
                   sd_bus_error* error) {
  const std::string name = name_in(path);
  if (name.empty()) return 0;  // the containers' parent is asked about too
  if (!static_cast<Connection*>(userdata)->service().find(name)) {
    (void)sd_bus_error_setf(error, error_name(ErrorKind::not_found).c_str(), "there is no container '%s'",
                            name.c_str());  // returns the errno that the error stands for
    return 0;
  }
  *found = userdata;
  return 1;
}

int list_containers(sd_bus* /*bus*/, const char* /*prefix*/, void* userdata, char*** nodes, sd_bus_error* /*error*/) {
  const std::vector<std::string> names = static_cast<Connection*>(userdata)->service().containers();
  auto** list = static_cast<char**>(std::calloc(names.size() + 1, sizeof(char*)));  // sd-bus frees it
  if (list == nullptr) return -ENOMEM;
  for (std::size_t i = 0; i < names.size(); ++i) list[i] = ::strdup(container_path(names[i]).c_str());
  *nodes = list;
  return 1;
}

using Vtable = std::vector<sd_bus_vtable>;

Vtable make_vtable(std::span<const Handler> handlers, std::span<const Property> properties,
                   sd_bus_property_get_t get_property) {
  Vtable table = {SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED)};
  for (const auto& [method, handle] : handlers)
    table.push_back(SD_BUS_METHOD_WITH_NAMES(method.name, method.arguments, method.names, method.results, , on_call,
                                             SD_BUS_VTABLE_UNPRIVILEGED));
  for (const Property& property : properties)
    table.push_back(
        SD_BUS_PROPERTY(property.name, property.signature, get_property, 0,
                        property.changes ? SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE : SD_BUS_VTABLE_PROPERTY_CONST));
  table.push_back(SD_BUS_VTABLE_END);
  return table;
}

// Clients made for a bus daemon greet it first and subscribe; there is none, so we answer: every signal comes anyway.
int on_hello(sd_bus_message* message, void* /*userdata*/, sd_bus_error* /*error*/) {
  return sd_bus_reply_method_return(message, "s", ":1.1");
}
int on_match(sd_bus_message* message, void* /*userdata*/, sd_bus_error* /*error*/) {
  return sd_bus_reply_method_return(message, "");
}

constexpr const char* daemon_name = "org.freedesktop.DBus";
constexpr const char* daemon_path = "/org/freedesktop/DBus";
const sd_bus_vtable daemon_vtable[] = {
    SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int emit_changes(sd_bus* bus, const std::string& path, const char* interface, std::span<const Property> properties) {
  std::vector<char*> names;
  for (const Property& property : properties)
    if (property.changes) names.push_back(const_cast<char*>(property.name));  // sd-bus only reads them
  names.push_back(nullptr);
  return sd_bus_emit_properties_changed_strv(bus, path.c_str(), interface, names.data());
}

}  // namespace

int add_objects(sd_bus* bus, Connection& connection) {
  static const Vtable supervisor = make_vtable(supervisor_handlers, supervisor_properties, get_supervisor_property);
  static const Vtable container = make_vtable(container_handlers, container_properties, get_container_property);
  int r = sd_bus_add_object_manager(bus, nullptr, supervisor_path);
  if (r >= 0)
    r = sd_bus_add_object_vtable(bus, nullptr, supervisor_path, supervisor_interface, supervisor.data(), &connection);
  if (r >= 0)
    r = sd_bus_add_fallback_vtable(bus, nullptr, containers_path, container_interface, container.data(), find_container,
                                   &connection);
  if (r >= 0) r = sd_bus_add_node_enumerator(bus, nullptr, containers_path, list_containers, &connection);
  if (r >= 0) r = sd_bus_add_object_vtable(bus, nullptr, daemon_path, daemon_name, daemon_vtable, nullptr);
  return r;
}

int emit_container_added(sd_bus* bus, const std::string& path) {
  return sd_bus_emit_object_added(bus, path.c_str());
}

// sd_bus_emit_object_removed() would ask the service for an object that it has no more.
int emit_container_removed(sd_bus* bus, const std::string& path) {
  return sd_bus_emit_interfaces_removed(bus, path.c_str(), container_interface, "org.freedesktop.DBus.Properties",
                                        "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", nullptr);
}

int emit_container_changed(sd_bus* bus, const std::string& path) {
  return emit_changes(bus, path, container_interface, container_properties);
}

int emit_supervisor_changed(sd_bus* bus) {
  return emit_changes(bus, supervisor_path, supervisor_interface, supervisor_properties);
}

}  // namespace orlop::control
