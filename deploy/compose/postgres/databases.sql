-- A user and a database for each service, so that no service can read the tables of another. Run once, as superuser, on an empty
-- server. The passwords are for evaluation only.

CREATE ROLE conversation LOGIN PASSWORD 'conversation';
CREATE ROLE assignment LOGIN PASSWORD 'assignment';
CREATE ROLE bot_session LOGIN PASSWORD 'bot_session';
CREATE ROLE notification LOGIN PASSWORD 'notification';

CREATE DATABASE conversation OWNER conversation ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE assignment OWNER assignment ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE bot_session OWNER bot_session ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE notification OWNER notification ENCODING 'UTF8' TEMPLATE template0;

REVOKE CONNECT ON DATABASE conversation, assignment, bot_session, notification FROM PUBLIC;
