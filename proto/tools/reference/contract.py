"""The contract as the pages show it: services, methods, messages and enums of the public packages, with comments and options."""

import subprocess
from functools import cached_property

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
METHOD = descriptor_pb2.MethodOptions
# Numbers of the fields of FileDescriptorProto and DescriptorProto, of which the place of a comment consists.
MESSAGES, ENUMS, SERVICES, NESTED_MESSAGES, NESTED_ENUMS, FIELDS, ONEOFS, VALUES, METHODS = 4, 5, 6, 3, 4, 2, 8, 2, 2


class Declared:
    """A declaration: its descriptor, full name, package and comment."""

    def __init__(self, contract, file, descriptor, parent, place):
        self.contract, self.file, self.descriptor, self.package = contract, file, descriptor, file.package
        self.name = descriptor.name
        self.full_name = f"{parent}.{descriptor.name}"
        self.comment = contract.comments[file.name].get(place, "")

    @property
    def options(self):
        return self.descriptor.options

    @property
    def short_name(self):
        """The name without the package: `Outer.Inner`."""
        return self.full_name.removeprefix(f"{self.package}.")


class Field(Declared):
    def __init__(self, message, index, descriptor):
        super().__init__(message.contract, message.file, descriptor, message.full_name, (*message.place, FIELDS, index))
        self.message = message

    @property
    def oneof(self):
        """The oneof that the field is an alternative of."""
        if self.descriptor.HasField("oneof_index") and not self.descriptor.proto3_optional:
            return self.message.oneofs[self.descriptor.oneof_index]
        return None

    @property
    def type_name(self):
        """The full name of a message or an enum, or the name of a scalar type."""
        return self.descriptor.type_name.removeprefix(".") or FIELD.Type.Name(self.descriptor.type).removeprefix("TYPE_").lower()

    @property
    def is_repeated(self):
        return self.descriptor.label == FIELD.LABEL_REPEATED

    @property
    def map_entry(self):
        """The entry message of a map."""
        entry = self.contract.messages.get(self.type_name)
        return entry if entry and entry.options.map_entry else None


class Oneof(Declared):
    @property
    def is_required(self):
        rules = self.contract.extensions["buf.validate.oneof"]
        return self.options.Extensions[rules].required


class Type(Declared):
    def __init__(self, contract, file, descriptor, parent, place):
        super().__init__(contract, file, descriptor, parent, place)
        self.place = place


class Message(Type):
    @cached_property
    def fields(self):
        return [Field(self, index, field) for index, field in enumerate(self.descriptor.field)]

    @cached_property
    def oneofs(self):
        places = ((*self.place, ONEOFS, index) for index in range(len(self.descriptor.oneof_decl)))
        return [Oneof(self.contract, self.file, oneof, self.full_name, place) for oneof, place in zip(self.descriptor.oneof_decl, places)]


class Enum(Type):
    @cached_property
    def values(self):
        scope = self.full_name.rpartition(".")[0]
        return [Declared(self.contract, self.file, value, scope, (*self.place, VALUES, index)) for index, value in enumerate(self.descriptor.value)]


class Method(Declared):
    def __init__(self, service, index, descriptor):
        super().__init__(service.contract, service.file, descriptor, service.full_name, (*service.place, METHODS, index))
        self.service = service
        self.input, self.output = (service.contract.messages[name.removeprefix(".")] for name in (descriptor.input_type, descriptor.output_type))
        self.access = descriptor.options.Extensions[service.contract.extensions["frontdesk.auth.v1.access"]]
        self.is_stream = descriptor.server_streaming

    @property
    def callers(self):
        principals = self.contract.enums["frontdesk.auth.v1.Principal"].descriptor.value
        names = {value.number: value.name.removeprefix("PRINCIPAL_").lower() for value in principals}
        return [names[number] for number in self.access.principals]

    @property
    def retry(self):
        """How a program may retry the method, in the words of docs/methods.md."""
        level = self.options.idempotency_level
        if level == METHOD.NO_SIDE_EFFECTS:
            return "read"
        if level == METHOD.IDEMPOTENT:
            return "request id" if any(field.name == "request_id" for field in self.input.fields) else "repeatable"
        return "no"


class Service(Type):
    @cached_property
    def methods(self):
        return [Method(self, index, method) for index, method in enumerate(self.descriptor.method)]

    @property
    def is_development(self):
        return self.package.startswith("frontdesk.dev.")


class Contract:
    """All declarations by their full names, and the public services."""

    def __init__(self, buf, folder):
        command = [buf, "build", folder, "--as-file-descriptor-set", "--output", "-"]
        encoded = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(encoded).file:
            pool.Add(file)
        # Unlike `descriptor_pb2`, the types of this pool know the options.
        files = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")).FromString(encoded)
        options = ("buf.validate.field", "buf.validate.oneof", "frontdesk.auth.v1.access", "frontdesk.text.v1.text")
        options += ("frontdesk.validation.v1.pattern_description", "frontdesk.validation.v1.number_description")
        self.extensions = {name: pool.FindExtensionByName(name) for name in options}
        self.comments, self.messages, self.enums, self.services = {}, {}, {}, {}
        for file in files.file:
            self.comments[file.name] = {tuple(at.path): at.leading_comments for at in file.source_code_info.location if at.leading_comments}
            for index, message in enumerate(file.message_type):
                self._add_message(file, message, file.package, (MESSAGES, index))
            for index, enum in enumerate(file.enum_type):
                self._add(self.enums, Enum(self, file, enum, file.package, (ENUMS, index)))
            for index, service in enumerate(file.service):
                self._add(self.services, Service(self, file, service, file.package, (SERVICES, index)))

    def _add(self, to, declared):
        to[declared.full_name] = declared

    def _add_message(self, file, descriptor, parent, place):
        message = Message(self, file, descriptor, parent, place)
        self._add(self.messages, message)
        for index, inner in enumerate(descriptor.nested_type):
            self._add_message(file, inner, message.full_name, (*place, NESTED_MESSAGES, index))
        for index, enum in enumerate(descriptor.enum_type):
            self._add(self.enums, Enum(self, file, enum, message.full_name, (*place, NESTED_ENUMS, index)))

    @cached_property
    def public_services(self):
        """The services that other programs call, those of a development server last."""
        services = [service for service in self.services.values() if is_public(service.package)]
        return sorted(services, key=lambda service: (service.is_development, service.full_name))

    @cached_property
    def public_types(self):
        """Messages and enums in the order of their declaration, without the entries of maps."""
        messages = [message for message in self.messages.values() if not message.options.map_entry]
        public = [declared for declared in (*messages, *self.enums.values()) if is_public(declared.package)]
        return sorted(public, key=lambda declared: (declared.file.name, declared.place))


def is_public(package):
    """Whether other programs use the package: not the internal ones, and not those that declare options."""
    options = ("frontdesk.auth.v1", "frontdesk.text.v1", "frontdesk.validation.v1")
    return package.startswith("frontdesk.") and ".internal." not in package and package not in options
