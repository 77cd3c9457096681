from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Flask, jsonify, render_template_string, request

app = Flask(__name__)


@app.get("/")
def home():
    return render_template_string("<h1>{{ name }}</h1> Flask from RAM.", name="Bootloom")


@app.get("/time/<path:zone>")
def time(zone):
    return datetime.now(ZoneInfo(zone)).isoformat()


@app.get("/json")
def answer():
    return jsonify(name=request.args.get("name"))


@app.get("/error")
def error():
    raise RuntimeError("as asked")
