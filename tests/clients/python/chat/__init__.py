"""A whole chat, played as the widget, the agent and the bot's engine, with stubs alone."""
